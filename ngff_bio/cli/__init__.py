"""The command line, one module per command."""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
import warnings
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from ngff_bio.errors import NgffBioError

#: Allocations between two runs of the garbage collector: imports make very many objects and few cycles.
_ALLOCATIONS = 50_000

#: Options that were renamed, by command and old name.
RENAMED = {
    "convert": {"--destination-option": "--storage-option"},
    "info": {"--most": "--limit"},
    "export": {"--pictures": "--images", "--no-pictures": "--no-images"},
}


def _terminate(number: int, _: FrameType | None) -> NoReturn:
    """End as by Ctrl-C: without this, temporary files stay."""
    raise KeyboardInterrupt(signal.Signals(number).name)


def main() -> NoReturn:
    """Entry point of ``ngff-bio``: run a command, and print an error as one message.

    Exit codes: 0 success, 1 a bug (or findings of ``validate`` or ``verify``), 2 an error of the user,
    130 interrupted (Ctrl-C, SIGTERM, SIGHUP).
    """
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has one of them
        # What is ignored (nohup) stays so.
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _terminate)
    _open_closed_streams()
    gc.set_threshold(_ALLOCATIONS)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # searching for them takes time
    warnings.formatwarning = _warning
    code = _run()
    if ranges := sys.modules.get("ngff_bio.sources.files.ranges"):
        ranges.remove_copies()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:  # the reader of the pipe has exited
            code = code or 1
        except OSError as error:
            with suppress(OSError):  # if errors cannot be printed either
                code = code or _print_error(error, debug=False)
            code = code or 2
    # Everything is closed, and the shutdown of the interpreter takes half as long as its start.
    os._exit(code)


def _open_closed_streams() -> None:
    """Let streams that the caller has closed (``>&-``) lead to nowhere.

    Else a file of a store gets the number of a stream, to which libraries print.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number
        if getattr(sys, name) is None:
            # It stays open: it is the stream until the end.
            setattr(sys, name, open(number, "w" if number else "r"))  # noqa: SIM115


def _warning(message: Warning | str, *_: object, **__: object) -> str:
    """A warning as one line, without the line of code that it is from."""
    from ngff_bio.printing import printable

    return f"warning: {printable(str(message))}\n"


def _run() -> int:
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    from ngff_bio.cli.app import app

    try:
        app(args=current_options(arguments), prog_name="ngff-bio")
    except SystemExit as done:
        if (interrupt := _interrupt_behind(done)) is None:
            return _code(done)
        return _print_error(interrupt, debug)
    except Exception as error:
        return _print_error(error, debug)
    return 0


def current_options(arguments: list[str]) -> list[str]:
    """Arguments with the present names of renamed options; prints a note for each of them."""
    renamed = RENAMED.get(arguments[0], {}) if arguments else {}
    found = []
    for argument in arguments:
        old, equals, value = argument.partition("=")
        new = renamed.get(old)
        if new is not None:
            print(f"note: {old} is deprecated: use {new}", file=sys.stderr)
        found.append(argument if new is None else f"{new}{equals}{value}")
    return found


def _code(done: SystemExit) -> int:
    if done.code is None or isinstance(done.code, int):
        return done.code or 0
    from ngff_bio.printing import printable

    print(printable(str(done.code)), file=sys.stderr)
    return 1


def _interrupt_behind(done: BaseException) -> KeyboardInterrupt | None:
    """The KeyboardInterrupt behind an exit: typer turns Ctrl-C into an exit without a message."""
    error: BaseException | None = done
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error


def _print_error(error: BaseException, debug: bool) -> int:
    """Print an error, or its traceback; returns the exit code."""
    import traceback

    from ngff_bio.cli.output import console
    from ngff_bio.errors import NgffBioError

    out = console(stderr=True)
    shown = "".join(traceback.format_exception(error)) if debug else ""
    if isinstance(error, OSError) and not isinstance(error, NgffBioError):
        error = _refused(error) or error
    title, code = "[bold red]error:[/] ", 2
    if isinstance(error, NgffBioError):
        text, code = str(error), error.exit_code
    elif isinstance(error, KeyboardInterrupt):
        title, text, code = "", "interrupted", 130
    elif isinstance(error, MemoryError):
        text = f"there is not enough memory\n  found: {error or 'a request for more'}"
        text += "\n  hint: use fewer --workers, or a machine with more memory"
    else:
        title, code = "[bold red]internal error:[/] ", 1
        text = f"{type(error).__name__}: {error}"
        text += "\n  hint: please report it with the output of --debug"
    if not debug:
        out.print(title, end="")
    for line in (shown or text).splitlines():
        out.print(line, markup=False)
    return code


def _refused(error: OSError) -> NgffBioError | None:
    """What the system refuses the command line itself: its output, its current folder."""
    from ngff_bio.errors import StorageError

    try:
        os.getcwd()
    except OSError:
        hint = "change to another folder, then run the same command again"
        return StorageError("the current folder does not exist any more", hint=hint)
    if error.filename is None and error.errno in (errno.ENOSPC, errno.EIO, errno.EFBIG):
        hint = "free some space, or send the output to another place"
        return StorageError(f"the output cannot be written: {error.strerror}", hint=hint)
    return None
