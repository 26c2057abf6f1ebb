"""Tables of images from the Hugging Face hub, or from a folder, as its library reads them."""

import hashlib
import logging
import os
import re
import shutil
import stat
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...utils.errors import DataNotFound, InputError, naming, reason
from ...utils.paths import expanded, require_file, resolved
from . import file_tree, hub_tables
from .hub_tables import Tables

_SECONDS = 5  # that the hub has to answer


class Absent(DataNotFound):
    """The hub cannot be reached, or does not have the set."""


def is_local(repo: str) -> bool:
    """Whether a set is a folder on this machine, rather than on the hub."""
    return bool(repo) and expanded(repo).is_dir()


def root(repo: str) -> Path:
    """The folder of a set on this machine, without any link: what the library is given, and finds files below."""
    return resolved(expanded(repo))


def state(repo: str) -> str:
    """What is another if a file of a folder may have changed; empty of a set on the hub, which has versions."""
    if not is_local(repo):
        return ""
    return _state(_files(root(repo)))


def _files(folder: Path) -> dict[str, str]:
    """Path below `folder` -> what it is without any link, of every file and linked folder. Links are followed."""
    found: dict[str, str] = {}
    seen = {os.path.realpath(folder)}
    for base, folders, files in os.walk(folder, followlinks=True):
        here = os.path.realpath(base)
        for name in files:
            linked = Path(base, name).is_symlink()
            found[f"{base}/{name}"] = os.path.realpath(f"{base}/{name}") if linked else f"{here}/{name}"
        new = []
        for name in sorted(folders):
            path = f"{base}/{name}"
            real = os.path.realpath(path)
            if Path(path).is_symlink():
                found[path] = real
            if real not in seen:  # else a link leads back, or to what is looked at elsewhere
                seen.add(real)
                new.append(name)
        folders[:] = new
    return found


def _state(files: Mapping[str, str]) -> str:
    listing = "\n".join(f"{path}\0{files[path]}\0{file_tree.stamp(path)}" for path in sorted(files))
    return hashlib.sha256(listing.encode(errors="surrogateescape")).hexdigest()


def download(repo: str, config: str | None) -> Tables:
    """Every split, of OWNER/NAME on the hub or of a folder; no code that comes with it is run.

    Of a folder the library would take tables that it has made earlier for those of today, if the folder says in
    a README how it is configured: so each state of a folder has a cache of its own. What that README names outside of
    the folder is refused, as no state tells when it changes.

    Raises Absent, and InputError for what is damaged or lacks the configuration.
    """
    from datasets import exceptions, load_dataset_builder  # takes seconds, so only where it is needed

    local = is_local(repo)
    reached = local or _reached(repo)
    try:
        with _undisturbed(), _offline(not reached):
            return _tables(repo, config) if local else _prepared(load_dataset_builder(repo, config), repo)
    except exceptions.DatasetNotFoundError as error:
        raise Absent(f"{_reason(error)} Look for its name on huggingface.co/datasets") from None
    except InputError:
        raise
    except Exception as error:  # of many types, from the library and the readers below it
        said = _reason(error)
        if not reached or isinstance(error, ConnectionError):
            raise Absent(f"the hub cannot be reached, and no earlier download is there ({said})") from None
        if re.match("Config name is missing|BuilderConfig .* not found", said):
            raise InputError(f"{said} (write hub:{repo}:CONFIG)") from None
        raise InputError(f"cannot be read ({said})") from None


def _tables(repo: str, config: str | None) -> Tables:
    """Every split of a folder; nothing is left of what cannot be read."""
    from datasets import config as library
    from datasets import load_dataset_builder

    folder = root(repo)
    files = _files(folder)
    _check_kinds(folder, files)
    real = set(files.values())
    saved = hub_tables.saved(folder, config, real)
    if saved is not None:
        return saved
    place = Path(library.HF_DATASETS_CACHE) / "datacondense" / _state(files)
    try:
        builder = load_dataset_builder(str(folder), config, cache_dir=str(place))
        for path in (path for paths in (builder.config.data_files or {}).values() for path in paths):
            if os.path.realpath(path) not in real:
                raise InputError(f"its README names {path}, which is not in the folder: put it there, or a link to it")
        return _prepared(builder, str(folder))
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise


def _check_kinds(folder: Path, files: Collection[str]) -> None:
    """Raises InputError for what is no file and no folder: the library would wait for it, unless it is hidden."""
    for path in files:
        if any(step.startswith(".") for step in Path(path).relative_to(folder).parts):
            continue
        try:
            found = os.stat(path)  # noqa: PTH116 (there may be a hundred thousand)
        except OSError:  # a link to nothing: who reads it will say so
            continue
        if not stat.S_ISDIR(found.st_mode):
            with naming(path):
                require_file(found)


def _prepared(builder: Any, source: str) -> Tables:
    """Every split that a builder of the library makes from a source, with the files behind it."""
    from datasets.load import dataset_module_factory

    described = dataset_module_factory(source).dataset_infos or {}  # not builder.info, which earlier tables may fill
    declared = getattr(described.get(builder.config.name), "features", None) or {}
    found = hub_tables.of_builder(builder)
    builder.download_and_prepare()
    splits = builder.as_dataset()
    assert isinstance(splits, Mapping)  # as no split is named
    splits = {str(name): table for name, table in splits.items()}
    return Tables(
        splits, {name: found.get(name) or [hub_tables.whole(name, splits[name])] for name in splits}, declared
    )


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
    return reason(error)
