"""The command `doctor`."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from ...data.named import NAMED, Found
from ...data.registry import DATASETS
from ...methods import METHODS
from ...run.loggers import LIVE
from ...utils import cache, hardware
from ...utils.errors import InputError
from ..console import print_json, print_line
from ..output_options import Json


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Show the versions, devices, compiler, memory and datasets of this machine."""

    data_dir: Path | None = None
    """Folder to look for data in, as in `condense`."""
    json: Json = False

    def run(self) -> None:
        if self.json:
            print_json(dict(self._findings()))
            return
        for name, value in self._findings():
            print_line(f"{name:<14} {value}")

    def _findings(self) -> Iterator[tuple[str, str]]:
        for name, value in hardware.versions().items():
            yield name, value
        yield "processor", hardware.describe(torch.device("cpu"))
        limit = os.environ.get("OMP_NUM_THREADS")
        yield "threads", f"{torch.get_num_threads()}" + (f", set by OMP_NUM_THREADS={limit}" if limit else "")
        yield "memory", f"{hardware.available_memory() / 2**30:.1f} GiB available now"
        yield from self._devices()
        yield "compiler", _compiler()
        yield "cache", _cache()
        for name in LIVE:
            there = importlib.util.find_spec(name) is not None
            yield (
                name,
                f"installed, for --log {name}" if there else f"not installed: pip install 'datacondense[{name}]'",
            )
        yield "methods", " ".join(METHODS)
        for name in DATASETS:
            if name in NAMED:
                yield name, self._place(name)

    def _devices(self) -> Iterator[tuple[str, str]]:
        if not torch.cuda.is_available():
            built = torch.version.cuda
            though = f", though PyTorch is built for CUDA {built}: does nvidia-smi show one?"
            yield "GPU", f"none{though if built else ', and PyTorch is built for the CPU'}"
        for index in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(index)
            name = torch.cuda.get_device_name(index)
            yield f"cuda:{index}", f"{name}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"

    def _place(self, name: str) -> str:
        try:
            found = NAMED[name].find(self.data_dir)
        except InputError as error:
            return f"cannot be read: {error}"
        if isinstance(found, Found):
            return f"found in {found.folder}"
        return "not on this disk" + (", would be read from the Hugging Face hub" if NAMED[name].hub else "")


def _compiler() -> str:
    """Return the C++ compiler that torch.compile would use on a CPU."""
    name = os.environ.get("CXX") or next((name for name in ("g++", "clang++") if shutil.which(name)), None)
    if name is None or shutil.which(name) is None:
        return "none: runs are not compiled; install g++ to make long runs faster"
    lines = subprocess.run([name, "--version"], capture_output=True, text=True, check=False).stdout.splitlines()
    return lines[0] if lines else name


def _cache() -> str:
    folder = cache.folder()
    files = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    return f"{folder}, {len(files)} files, {sum(path.stat().st_size for path in files) / 2**20:.0f} MiB"
