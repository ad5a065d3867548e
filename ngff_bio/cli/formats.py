"""``ngff-bio formats``: what can be converted."""

from __future__ import annotations


def formats() -> None:
    """List the datasets and formats that can be converted, and what each looks for."""
    from rich.console import Console

    from ngff_bio.sources import sources

    console = Console(highlight=False)
    for name, source in sources().items():
        console.print(f"[bold]{name}[/]  {source.title}")
        console.print(f"    files: {source.layout}", markup=False)
        for option, text in source.options.items():
            console.print(f"    {option}: {text}", markup=False)
