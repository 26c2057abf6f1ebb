"""Tables of images from the Hugging Face hub, or from a folder, as its library reads them."""

import hashlib
import logging
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import InputError
from . import store, tree

_SECONDS = 5  # that the hub has to answer


class Absent(InputError):
    """The hub cannot be reached, or does not have the set."""


def is_local(repo: str) -> bool:
    """Whether a set is a folder on this machine, rather than on the hub."""
    return bool(repo) and Path(repo).expanduser().is_dir()


def state(repo: str) -> str:
    """What is another if a file of a folder may have changed; empty of a set on the hub, which has versions."""
    if not is_local(repo):
        return ""
    paths = sorted(str(path) for path in Path(repo).expanduser().absolute().rglob("*") if path.is_file())
    listing = "\n".join(f"{path}\0{tree.stamp(path)}" for path in paths)
    return hashlib.sha256(listing.encode(errors="surrogateescape")).hexdigest()


def download(repo: str, config: str | None) -> Mapping[Any, Any]:
    """Every split by name, of OWNER/NAME on the hub or of a folder; no code that comes with it is run.

    Of a folder the library would take tables that it has made earlier for those of today, if the folder says in
    a README how it is configured: so each state of a folder has a cache of its own.

    Raises Absent, and InputError for what is damaged or lacks the configuration.
    """
    from datasets import exceptions, load_dataset  # takes seconds, so only where it is needed

    local = is_local(repo)
    reached = local or _reached(repo)
    place = store.folder() / "tables" / state(repo)
    try:
        with _undisturbed(), _offline(not reached):
            if local:
                return load_dataset(str(Path(repo).expanduser().absolute()), config, cache_dir=str(place))
            return load_dataset(repo, config)
    except exceptions.DatasetNotFoundError as error:
        raise Absent(f"{_reason(error)} Look for its name on huggingface.co/datasets") from None
    except Exception as error:  # of many types, from the library and the readers below it
        if local:
            shutil.rmtree(place, ignore_errors=True)
        reason = _reason(error)
        if not reached or isinstance(error, ConnectionError):
            raise Absent(f"the hub cannot be reached, and no earlier download is there ({reason})") from None
        if "config" in reason.lower():
            raise InputError(f"{reason} (write hub:{repo}:CONFIG)") from None
        raise InputError(f"cannot be read ({reason})") from None


def _reached(repo: str) -> bool:
    """Whether the hub answers at all. Asked first, as the library would try for half a minute."""
    import huggingface_hub

    try:
        huggingface_hub.HfApi().dataset_info(repo, timeout=_SECONDS)
    except (huggingface_hub.errors.HfHubHTTPError, huggingface_hub.errors.HFValidationError):
        return True  # it says no, which the library tells better
    except Exception:  # of the library below, which is another in every release
        return False
    return True


@contextmanager
def _offline(wanted: bool) -> Iterator[None]:
    """The library keeps to what it has downloaded earlier."""
    from datasets import config

    before = config.HF_HUB_OFFLINE
    config.HF_HUB_OFFLINE = before or wanted
    try:
        yield
    finally:
        config.HF_HUB_OFFLINE = before


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Progress bars of the library only on a terminal; nothing of its log, as what it tells is raised too."""
    import datasets

    loggers = [logging.getLogger(name) for name in ("datasets", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    hide = not sys.stderr.isatty() and not datasets.are_progress_bars_disabled()
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    if hide:
        datasets.disable_progress_bars()
    try:
        yield
    finally:
        if hide:
            datasets.enable_progress_bars()
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _reason(error: BaseException) -> str:
    """The first cause of an error, on one line."""
    while (cause := error.__cause__) is not None:
        error = cause
    return " ".join(str(error).split()) or type(error).__name__
