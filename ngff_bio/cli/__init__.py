"""The command line, one verb a module."""

from __future__ import annotations

import gc
import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Entry point of ``ngff-bio``: run, and turn errors into one clear message and an exit code.

    Exit codes: 0 well, 1 a fault of this program (or findings of ``validate``), 2 the user's to
    mend, 130 interrupted.
    """
    gc.set_threshold(_ALLOCATIONS)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # looking for them takes time
    code = _run()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # the one who read it has gone
            code = code or 1
    # Nothing is left to do, and taking the interpreter down takes as long as half of its start.
    os._exit(code)


#: Objects between two searches for cycles: what is loaded makes very many, and no cycles to speak of.
_ALLOCATIONS = 50_000


def _run() -> int:
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    from ngff_bio.cli.app import app

    try:
        app(args=arguments, prog_name="ngff-bio")
    except SystemExit as done:
        if (interrupt := _interrupt_behind(done)) is None:
            return _code(done)
        if debug:
            raise interrupt from None
        return _tell(interrupt)
    except Exception as error:
        if debug:
            raise
        return _tell(error)
    return 0


def _code(done: SystemExit) -> int:
    if done.code is None or isinstance(done.code, int):
        return done.code or 0
    print(done.code, file=sys.stderr)
    return 1


def _interrupt_behind(done: BaseException) -> KeyboardInterrupt | None:
    """Ctrl-C, which typer makes an exit without a word."""
    error: BaseException | None = done
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error


def _tell(error: BaseException) -> int:
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
    if isinstance(error, KeyboardInterrupt):
        console.print("interrupted. Run the same command again to go on where it stopped.")
        return 130
    console.print("[bold red]internal error:[/] ", end="")
    console.print(f"{type(error).__name__}: {error}", markup=False)
    console.print("  hint: please report it, with what --debug prints", markup=False)
    return 1
