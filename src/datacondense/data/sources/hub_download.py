"""Load tables of images from the Hugging Face hub or a folder, through the library `datasets`."""

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

_SECONDS = 5  # time limit for an answer of the hub


class Absent(DataNotFound):
    """The hub cannot be reached, or does not have the dataset."""


def is_local(repo: str) -> bool:
    """Return True when `repo` is a folder on this machine."""
    return bool(repo) and expanded(repo).is_dir()


def root(repo: str) -> Path:
    """Return the folder of a local dataset without links, as passed to the library."""
    return resolved(expanded(repo))


def state(repo: str) -> str:
    """Return a digest that changes when a file of a folder may have changed; empty for a dataset on the hub."""
    if not is_local(repo):
        return ""
    return _state(_files(root(repo)))


def _files(folder: Path) -> dict[str, str]:
    """Return path below `folder` -> path without links, of every file and linked folder. Follow links."""
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
            if real not in seen:  # otherwise a link leads back, or to a folder visited already
                seen.add(real)
                new.append(name)
        folders[:] = new
    return found


def _state(files: Mapping[str, str]) -> str:
    listing = "\n".join(f"{path}\0{files[path]}\0{file_tree.stamp(path)}" for path in sorted(files))
    return hashlib.sha256(listing.encode(errors="surrogateescape")).hexdigest()


def download(repo: str, config: str | None) -> Tables:
    """Return every split of OWNER/NAME on the hub or of a folder, without running code of the dataset.

    The library would reuse outdated tables of a folder whose README configures it, so each state of a folder has a
    cache of its own. Files outside of the folder that the README names are refused, as their changes go unnoticed.
    Raise Absent, and InputError for damaged data and an unknown configuration.
    """
    from datasets import exceptions, load_dataset_builder  # imported here, as it takes seconds

    local = is_local(repo)
    reached = local or _is_reachable(repo)
    try:
        with _quiet_library(), _offline(not reached):
            return _tables(repo, config) if local else _prepare(load_dataset_builder(repo, config), repo)
    except exceptions.DatasetNotFoundError as error:
        raise Absent(f"{_reason(error)} Find its name on huggingface.co/datasets") from None
    except InputError:
        raise
    except Exception as error:  # of many types, from the library and the readers below it
        message = _reason(error)
        if not reached or isinstance(error, ConnectionError):
            raise Absent(f"the hub cannot be reached, and no earlier download is there ({message})") from None
        if re.match("Config name is missing|BuilderConfig .* not found", message):
            raise InputError(f"{message} (write hub:{repo}:CONFIG)") from None
        raise InputError(f"cannot be read ({message})") from None


def _tables(repo: str, config: str | None) -> Tables:
    """Return every split of a folder; delete the cache of one that cannot be read."""
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
        return _prepare(builder, str(folder))
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise


def _check_kinds(folder: Path, files: Collection[str]) -> None:
    """Raise InputError for visible pipes, sockets and devices, on which the library would wait."""
    for path in files:
        if any(step.startswith(".") for step in Path(path).relative_to(folder).parts):
            continue
        try:
            found = os.stat(path)  # noqa: PTH116 (there may be a hundred thousand)
        except OSError:  # a broken link: reported when it is read
            continue
        if not stat.S_ISDIR(found.st_mode):
            with naming(path):
                require_file(found)


def _prepare(builder: Any, source: str) -> Tables:
    """Return every split that a builder of the library makes from a source, with its files."""
    from datasets.load import dataset_module_factory

    described = (
        dataset_module_factory(source).dataset_infos or {}
    )  # not builder.info, which may come from earlier tables
    declared = getattr(described.get(builder.config.name), "features", None) or {}
    found = hub_tables.pieces_of(builder)
    builder.download_and_prepare()
    splits = builder.as_dataset()
    assert isinstance(splits, Mapping)  # since no split is named
    splits = {str(name): table for name, table in splits.items()}
    return Tables(
        splits, {name: found.get(name) or [hub_tables.whole(name, splits[name])] for name in splits}, declared
    )


def _is_reachable(repo: str) -> bool:
    """Return True when the hub answers. Checked first, as the library would try for half a minute."""
    import huggingface_hub

    try:
        huggingface_hub.HfApi().dataset_info(repo, timeout=_SECONDS)
    except (huggingface_hub.errors.HfHubHTTPError, huggingface_hub.errors.HFValidationError):
        return True  # it refuses; the library reports why
    except Exception:  # errors of the HTTP library, whose types change with releases
        return False
    return True


@contextmanager
def _offline(wanted: bool) -> Iterator[None]:
    """Restrict the library to earlier downloads when `wanted`."""
    from datasets import config

    before = config.HF_HUB_OFFLINE
    config.HF_HUB_OFFLINE = before or wanted
    try:
        yield
    finally:
        config.HF_HUB_OFFLINE = before


@contextmanager
def _quiet_library() -> Iterator[None]:
    """Hide the progress bars of the library unless on a terminal, and its log, which repeats errors."""
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
    """Return the first cause of an error, on one line."""
    while (cause := error.__cause__) is not None:
        error = cause
    return reason(error)
