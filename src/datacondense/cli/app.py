"""The entry point of the command line. This room is the only one that imports tyro and rich."""

import io
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from typing import Any

from .._version import __version__
from ..drawing.progress_bar import progress_bar
from ..utils.errors import DatacondenseError, InputError, LostProcess, Stopped
from ..utils.torchrun import is_first_report, is_launched, joined, leads
from .console import print_error, print_line, set_output
from .registry import CHOOSERS, COMMANDS, SHARED

PROGRAM = "datacondense"
_HELP = ("-h", "--help")
_COMPLETION = "write a script that completes commands, options and names in bash, zsh or fish"
_NEXT = """\
datacondense makes a few synthetic images per class that train a network to nearly the accuracy of the whole set.

Make a first set in half a minute, and test what networks learn from it:
  datacondense condense dm --data digits --ipc 1 --iterations 400 --batch-real 64 --out runs/demo
  datacondense evaluate runs/demo --nets 3 --epochs 300 --beside random
Condense your own pictures, one folder per class, by settings that are chosen for them in ten minutes:
  datacondense condense auto --data folder:PATH --image-size 32 --ipc 10 --time-budget 10m --out runs/own
List methods, data, networks and published experiments; show what this machine has:
  datacondense list methods
  datacondense doctor
Show every command and option; run a method of your own from one file:
  datacondense --help
  datacondense condense dm --help
  datacondense condense NAME --plugin FILE.py"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: words after `datacondense`; by default those of the process.

    Returns:
        The exit code: 0, also if a time budget ended the work; 2 after one line on stderr for an error that the user
        can correct; 130 after Ctrl-C and 143 after SIGTERM.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file name may hold what the terminal cannot show
    try:
        with warnings.catch_warnings(), progress_bar("", wanted=False):  # commands have displays of their own
            warnings.showwarning = _show_warning
            _run(arguments)
    except Stopped as error:
        return _fail(str(error), code=0 if error.signal is None else 128 + error.signal, stopped=True)
    except LostProcess as error:
        return _fail(str(error), code=1)
    except DatacondenseError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
    except (RuntimeError, MemoryError) as error:
        from ..engine.out_of_memory import is_out_of_memory  # only here: it imports torch

        if not is_out_of_memory(error):
            raise
        return _out_of_memory(error)
    except KeyboardInterrupt:
        return _fail("interrupted", code=130, stopped=True)
    return 0


def _run(arguments: list[str]) -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminated)  # removes half-written files, as Ctrl-C does
    set_output(leads=leads())
    if arguments == ["--version"]:
        print_line(__version__)
        return
    if not arguments:
        for line in _NEXT.splitlines():
            print_line(line)
        return
    try:
        name, command = _parse(arguments)
    except (InputError, SystemExit) as error:
        if isinstance(error, SystemExit) and not error.code:  # --help
            raise
        with joined():  # the first process to end ends the others: not before the leading one has printed the error
            raise
    set_output(leads=leads(), brief=getattr(command, "quiet", False), as_json=getattr(command, "json", False))
    if name in SHARED:
        with joined():
            command.run()
    elif leads():
        command.run()


def _parse(arguments: list[str]) -> tuple[str, Any]:
    """Return the name of the command and the command; import the modules of this command only."""
    if arguments[0] in _HELP:
        from .overview import print_overview

        more = {"--version": "show the version and exit", "--tyro-write-completion SHELL FILE": _COMPLETION}
        print_overview(PROGRAM, "", COMMANDS.summaries(), "commands", more)
        raise SystemExit(0)
    from ..methods import METHODS
    from . import plugin_files

    arguments = plugin_files.load_named(arguments)
    if not arguments:
        raise InputError("--plugin: name a command before it, such as datacondense condense METHOD --plugin FILE.py")
    if arguments[0] == "condense" and arguments[1:2] and arguments[1] in _HELP:
        from .overview import print_overview

        known = {**CHOOSERS.summaries(), **METHODS.summaries()}
        print_overview(f"{PROGRAM} condense", COMMANDS.summary("condense"), known, "methods")
        raise SystemExit(0)
    from .parsing import parse

    return arguments[0], parse(arguments)


def _terminated(_number: int, _frame: object) -> None:
    raise SystemExit(143)


def _show_warning(message: Warning | str, category: type[Warning], *_where: object) -> None:
    text = f"datacondense: note: {message}"
    if is_first_report(text):
        print_error(text)


def _out_of_memory(error: BaseException) -> int:
    advice = "condense with a smaller --classes-at-once, --batch-real or --ipc, or use a machine with more memory"
    return _fail(f"out of memory: {advice} ({(str(error).splitlines() or ['no details'])[0]})")


def _fail(text: str, code: int = 2, *, stopped: bool = False) -> int:
    if is_launched() and code:
        # torchrun ends the others once one has failed, and none may end between claiming the line and printing it.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    line = f"datacondense: {text}" if stopped else f"datacondense: error: {text}"
    if is_first_report(line):
        print_error(line)
    return code
