"""The command line, one verb a module."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of ``ngff-bio``: run, and turn errors into one clear message and an exit code.

    Exit codes: 0 well, 1 a fault of this program (or findings of ``validate``), 2 the user's to
    mend, 130 interrupted.
    """
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    from ngff_bio.cli.app import app

    try:
        app(args=arguments, prog_name="ngff-bio")
    except KeyboardInterrupt:
        if debug:
            raise
        print("interrupted. Run the same command again to go on where it stopped.", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if debug:
            raise
        sys.exit(_tell(error))


def _tell(error: Exception) -> int:
    """Show an error to the user; returns the exit code."""
    from rich.console import Console

    from ngff_bio.errors import NgffBioError

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    if isinstance(error, NgffBioError):
        what, _, rest = str(error).partition("\n")
        console.print("[bold red]error:[/] ", end="")
        console.print(what, markup=False)
        if rest:
            console.print(rest, markup=False)
        return error.exit_code
    console.print("[bold red]internal error:[/] ", end="")
    console.print(f"{type(error).__name__}: {error}", markup=False)
    console.print("  to mend: please report it, with what --debug prints", markup=False)
    return 1
