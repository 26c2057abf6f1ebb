"""Observers of `condense` that log a run while it computes: TensorBoard, and Weights & Biases."""

import os
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, final

import numpy as np
from PIL import Image

from ..pictures import draw_grid
from ..synthetic.provenance import Provenance
from ..synthetic.set import SyntheticSet
from ..utils.errors import InputError, reason
from ..utils.files import read_json, write_json
from ..utils.schema import check
from ..utils.text import printable
from .directory import EVENTS, WANDB, events
from .log import read_log
from .observers import Observer, RunProgress
from .records import WandbRun

_IMAGES = "images"
_SECONDS = 10  # after which TensorBoard finds in its files what was written


class Live(Observer, ABC):
    """Observer that writes the loss, the speed and the images of one session of a run.

    Use it in a `with` block, which closes the files at its end; nothing is opened before the run begins. Each iteration
    is written once: a resumed run continues in the same place, and takes missing iterations from the log.
    """

    def __init__(self, run: str | Path) -> None:
        """Store the run directory, which is `out` of `condense`."""
        self.run = Path(run)
        self._opened = False
        self._first = 0
        self._before: RunProgress | None = None

    def __enter__(self) -> "Live":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._opened:
            self._close(failed=kind is not None)

    @abstractmethod
    def check(self) -> None:
        """Raise InputError, before a run begins, if nothing can be written."""

    @final
    def images(self, iteration: int, synthetic: SyntheticSet) -> None:
        """Write the images; a session begins with them."""
        if not self._opened:
            self._first = self._open(iteration, synthetic.provenance)
            self._opened = True
            self._catch_up(iteration)
        if iteration >= self._first:
            self._write(iteration, {}, draw_grid(synthetic))

    @final
    def progress(self, progress: RunProgress) -> None:
        """Write loss, seconds and, but for a session's first iteration, iterations per second."""
        scalars = {"loss": progress.loss, "seconds": progress.seconds}
        if self._before and progress.seconds > self._before.seconds:
            done = progress.iteration - self._before.iteration
            scalars["iterations per second"] = done / (progress.seconds - self._before.seconds)
        self._before = progress
        if progress.iteration >= self._first:
            self._write(progress.iteration, scalars, None)

    @final
    def message(self, text: str) -> None:
        """Ignore messages: a message may arrive in a signal handler, where the libraries cannot be called."""

    @abstractmethod
    def _open(self, done: int, made: Provenance) -> int:
        """Begin to write, when `done` iterations are done; return the first iteration that is not yet written.

        made: the provenance of the set.
        """

    @abstractmethod
    def _write(self, iteration: int, scalars: Mapping[str, float], picture: Image.Image | None) -> None:
        """Write the values of an iteration; iterations come in order."""

    @abstractmethod
    def _close(self, *, failed: bool) -> None:
        """Flush and close."""

    def _catch_up(self, done: int) -> None:
        """Write the log entries of earlier sessions."""
        for entry in read_log(self.run) if done else ():
            self.progress(RunProgress(entry.iteration, done, entry.loss, entry.seconds))
        self._before = None  # between two sessions there was no speed


@final
class TensorBoard(Live):
    """Observer that writes RUN/tensorboard, for `tensorboard --logdir RUN`.

    Needs `pip install 'datacondense[tensorboard]'`.
    """

    def check(self) -> None:
        _writer()

    def _open(self, done: int, made: Provenance) -> int:
        begun = bool(events(self.run))
        # From `done` on, all that is there is void: an interrupted iteration may have left its images under `done`.
        self._events = _writer()(str(self.run / EVENTS), purge_step=done if begun else None, flush_secs=_SECONDS)
        return done if begun else 0

    def _write(self, iteration: int, scalars: Mapping[str, float], picture: Image.Image | None) -> None:
        for name, value in scalars.items():
            self._events.add_scalar(name, value, iteration)
        if picture:
            self._events.add_image(_IMAGES, np.asarray(picture.convert("RGB")), iteration, dataformats="HWC")
            self._events.flush()  # a checkpoint may follow, and what it counts as done must be there

    def _close(self, *, failed: bool) -> None:
        self._events.close()


@final
class WeightsAndBiases(Live):
    """Observer that writes a run of Weights & Biases named as the run directory.

    Needs `pip install 'datacondense[wandb]'`. Its project is `datacondense`, unless WANDB_PROJECT
    names another; WANDB_MODE=offline keeps it on this machine.
    """

    def check(self) -> None:
        wandb = _wandb()
        with _reporting_errors(wandb):
            if wandb.setup().settings.mode == "online":
                wandb.login()  # may ask for a key, which is not to happen inside a run

    def _open(self, done: int, made: Provenance) -> int:
        wandb, place = _wandb(), self.run / WANDB
        known = _known(place)
        identity = known or secrets.token_hex(4)
        with _reporting_errors(wandb):
            self._to = wandb.init(
                project=os.environ.get("WANDB_PROJECT", "datacondense"),
                name=printable(self.run.absolute().name),
                id=identity,
                resume="allow",
                config={**made.settings, "method": made.method, "data": made.data, "ipc": made.ipc, "seed": made.seed},
                settings=wandb.Settings(console="off"),
            )
            mode = self._to.settings.mode
            if mode != "disabled":
                write_json(place, {"id": identity})
            if not known:
                return 0
            # Only a server can say which steps there are; elsewhere they are taken to be those of earlier sessions.
            return self._to.step if mode == "online" else done + 1

    def _write(self, iteration: int, scalars: Mapping[str, float], picture: Image.Image | None) -> None:
        wandb = _wandb()
        with _reporting_errors(wandb):
            self._to.log({**scalars, **({_IMAGES: wandb.Image(picture)} if picture else {})}, step=iteration)

    def _close(self, *, failed: bool) -> None:
        with _reporting_errors(_wandb()):
            self._to.finish(exit_code=int(failed))


LIVE: dict[str, type[Live]] = {"tensorboard": TensorBoard, "wandb": WeightsAndBiases}
"""Value of --log -> observer."""


def _library(module: str, extra: str) -> Any:
    """Import a module of an optional dependency."""
    try:
        return import_module(module)
    except ImportError:
        raise InputError(f"--log {extra}: not installed: pip install 'datacondense[{extra}]'") from None


def _writer() -> Any:
    return _library("torch.utils.tensorboard", "tensorboard").SummaryWriter


def _wandb() -> Any:
    return _library("wandb", "wandb")


@contextmanager
def _reporting_errors(wandb: Any) -> Iterator[None]:
    """Turn errors of the library, such as of logging in or reaching its server, into an InputError."""
    try:
        yield
    except wandb.Error as error:
        raise InputError(
            f"--log wandb: {reason(error).rstrip('.')}; set WANDB_MODE=offline to log to this machine only"
        ) from error


def _known(place: Path) -> str | None:
    """Return the Weights & Biases run of earlier sessions; None if there is none."""
    if not place.exists():
        return None
    return check(read_json(place), WandbRun, f"{place} is damaged: delete it, and the run is logged as a new one").id
