"""The command line. This package is the only one that imports tyro and rich."""

import io
import signal
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, make_dataclass
from pathlib import Path
from typing import Annotated, Any, Union

import tyro

from .._version import __version__
from ..data.options import ReadOptions
from ..engine.out_of_memory import is_out_of_memory
from ..methods import METHODS, Method, method_class, plugins
from ..utils.errors import DatacondenseError, InputError, LostProcess, Stopped
from ..utils.paths import resolved
from ..utils.torchrun import joined, leads, said_first, several
from .commands.condense import Condense, List
from .commands.continual import Continual
from .commands.doctor import Doctor
from .commands.evaluate import Evaluate
from .commands.export import Export, Import
from .commands.report import Report
from .commands.reproduce import Reproduce, Results
from .commands.show import Show
from .commands.storage import Storage
from .display import OUT, complain, say, summary
from .options import ComputingRun, Going
from .parsing import parse


@dataclass(frozen=True, kw_only=True)
class CondenseWith:
    """Condense a dataset into a few synthetic images per class, by one of the methods."""

    job: Any


COMMANDS = {
    "condense": CondenseWith,
    "evaluate": Evaluate,
    "continual": Continual,
    "report": Report,
    "show": Show,
    "storage": Storage,
    "export": Export,
    "import": Import,
    "reproduce": Reproduce,
    "results": Results,
    "list": List,
    "doctor": Doctor,
}


def command_type() -> Any:
    """The union of all commands, with the methods that are registered now."""
    methods = tuple(
        Annotated[Condense[cls], tyro.conf.subcommand(name, description=summary(cls))] for name, cls in METHODS.items()
    )
    with_method = make_dataclass("Methods", [("job", Union[methods])], bases=(CondenseWith,), frozen=True, kw_only=True)  # noqa: UP007
    with_method.__doc__ = CondenseWith.__doc__
    commands = {**COMMANDS, "condense": with_method}
    return Union[tuple(Annotated[cls, tyro.conf.subcommand(name)] for name, cls in commands.items())]  # noqa: UP007 (tyro reads the annotations)


_loaded: set[Path] = set()
"""Plugins that have been loaded: another command of the same process finds their methods."""
_NEXT = """\
datacondense makes a few synthetic images of each class that train a network to nearly the accuracy of a whole set.

A first set, in half a minute, and what networks learn from it:
  datacondense condense dm --data digits --ipc 1 --iterations 400 --batch-real 64 --out runs/demo
  datacondense evaluate runs/demo --nets 3 --epochs 300 --beside random
Your own pictures, a folder for each class: how long it would take
  datacondense condense dm --data folder:PATH --image-size 32 --ipc 10 --dry-run
Methods, data, networks, published experiments; what this machine has:
  datacondense list methods
  datacondense doctor
Every command and every option; a method of your own, in one file:
  datacondense --help
  datacondense condense dm --help
  datacondense condense NAME --plugin FILE.py"""


SHARED = (
    CondenseWith,
    Evaluate,
    Continual,
    Reproduce,
)  # by several processes; other commands are run by the leading one alone


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns the exit code: 0, also where a time budget ended the work; 2 after one line on stderr for anything the user
    can mend; 130 and 143 where Ctrl-C and SIGTERM stopped it.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file name may hold what the terminal cannot show
    try:
        with warnings.catch_warnings():
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
        if not is_out_of_memory(error):
            raise
        return _out_of_memory(error)
    except KeyboardInterrupt:
        return _fail("interrupted", code=130, stopped=True)
    return 0


def _run(arguments: list[str]) -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminated)  # what is half written is cleared away then, as on Ctrl-C
    OUT.quiet = not leads()  # what all processes would print alike, one does
    if arguments == ["--version"]:
        say(__version__)
        return
    if not arguments:
        for line in _NEXT.splitlines():
            say(line)
        return
    try:
        command = _parse(arguments)
    except (InputError, SystemExit) as error:
        if isinstance(error, SystemExit) and not error.code:  # --help
            raise
        with joined():  # the first to end ends the others: not before the leading one has said what is wrong
            raise
    if isinstance(command, SHARED):
        with joined():
            (command.job if isinstance(command, CondenseWith) else command).run()
    elif leads():
        command.run()


def _parse(arguments: list[str]) -> Any:
    arguments = _with_plugins(arguments)
    if not arguments:
        raise InputError("--plugin: name a command before it, such as datacondense condense METHOD --plugin FILE.py")
    if arguments[:1] == ["condense"] and not {"-h", "--help"} & set(arguments[1:2]):
        if not arguments[1:] or arguments[1].startswith("-"):
            raise InputError(f"name the method first, datacondense condense METHOD: known are {', '.join(METHODS)}")
        method_class(arguments[1])
    return parse(arguments, COMMANDS, command_type())


def _with_plugins(arguments: Sequence[str]) -> list[str]:
    """Load the methods of installed packages and of each --plugin FILE.py; the arguments without the latter."""
    for message in plugins.load_installed(METHODS):
        warnings.warn(message, stacklevel=1)
    left, rest = [], iter(arguments)
    for argument in rest:
        if argument == "--plugin" or argument.startswith("--plugin="):
            _, _, path = argument.partition("=")
            path = path or next(rest, "")
            if not path:
                raise InputError("--plugin: name a Python file")
            if resolved(path) not in _loaded:
                found = dict(METHODS)
                _check_settings({name: found[name] for name in plugins.load_file(path, found)}, path)
                METHODS.update(found)
                _loaded.add(resolved(path))
        else:
            left.append(argument)
    return left


def _check_settings(methods: Mapping[str, type[Method]], path: str) -> None:
    """Raises InputError where a setting would be an option that every run has."""
    taken = {one.name for group in (Condense, Going, ComputingRun, ReadOptions) for one in fields(group)}
    for name, cls in methods.items():
        clash = sorted({one.name for one in fields(cls)} & taken)
        if clash:
            raise InputError(f"--plugin {path}: {name} has a setting {clash[0]}, an option of every run: rename it")


def _terminated(_number: int, _frame: object) -> None:
    raise SystemExit(143)


def _show_warning(message: Warning | str, category: type[Warning], *_where: object) -> None:
    text = f"datacondense: note: {message}"
    if said_first(text):
        complain(text)


def _out_of_memory(error: BaseException) -> int:
    advice = "condense with a smaller --classes-at-once, --batch-real or --ipc, or on a machine with more"
    return _fail(f"out of memory: {advice} ({(str(error).splitlines() or ['no more is known'])[0]})")


def _fail(text: str, code: int = 2, *, stopped: bool = False) -> int:
    if several() and code:
        # torchrun ends the others once one has failed, and none is to go between being the first and saying it.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    line = f"datacondense: {text}" if stopped else f"datacondense: error: {text}"
    if said_first(line):
        complain(line)
    return code
