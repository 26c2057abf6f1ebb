"""Software versions, processor, its bf16 arithmetic, and free memory of this machine."""

import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Literal

import torch

from .._version import __version__

_CPUINFO = Path("/proc/cpuinfo")
_MAX_ISA = "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"  # oneDNN reads the first that is set
_CONTROL, _OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_FIRST_VERSION = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
_SECOND_VERSION = "memory.max", "memory.current", "inactive_file"


def versions() -> dict[str, str]:
    """Return the versions of all software that may change the bits of a result."""
    return {"datacondense": __version__, "torch": torch.__version__, "python": platform.python_version()}


def describe(device: torch.device, processes: int = 1) -> str:
    """Return one line that names the processor, such as "AMD EPYC, 2 cores", and the number of processes."""
    shared = f", {processes} processes" if processes > 1 else ""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device) + shared
    return f"{_processor()}, {os.cpu_count()} cores{shared}"


Bf16 = Literal["matrix", "vector", "none", "unknown"]
"""Units of a processor that multiply bf16: matrices (AMX), vectors, or none."""


def bf16_units(cpuinfo: str, max_isa: str = "") -> Bf16:
    """Return the units for bf16 that every processor in a text of /proc/cpuinfo lists.

    Args:
        cpuinfo: The text, of Linux on x86 or Arm; empty where there is no such file.
        max_isa: The limit set on oneDNN, which computes the convolutions: a name such as AVX512_CORE_BF16.

    Returns:
        "unknown" where the text lists no features.
    """
    lines = [line.partition(":") for line in cpuinfo.splitlines()]
    listed = [set(features.split()) for name, _, features in lines if name.strip() in ("flags", "Features")]
    if not listed:
        return "unknown"
    common = listed[0].intersection(*listed)
    allowed = max_isa.upper() in ("", "ALL", "DEFAULT") or "AMX" in max_isa.upper()
    if "amx_bf16" in common and allowed:
        return "matrix"
    return "vector" if common & {"amx_bf16", "avx512_bf16", "bf16"} else "none"


def processor_bf16() -> Bf16:
    """Return the units for bf16 that PyTorch can use on this processor."""
    text = _CPUINFO.read_text() if _CPUINFO.exists() else ""
    found = bf16_units(text, next(filter(None, map(os.environ.get, _MAX_ISA)), ""))
    return "vector" if found == "matrix" and not torch.backends.mkldnn.is_available() else found


def available_memory() -> int:
    """Return the bytes of memory that can be allocated now without swapping, within the limit of a container.

    Return all installed memory when the system does not report what is free.
    """
    free = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        free.append(1024 * int(fields["MemAvailable"].split()[0]))
    return min(free + [_left(group, names) for group, names in _control_groups() if (group / names[0]).exists()])


def _control_groups() -> Iterator[tuple[Path, tuple[str, str, str]]]:
    """Yield the control groups of this process, with the names of their limit, usage and reclaimable memory."""
    for line in _OWN.read_text().splitlines() if _OWN.exists() else []:
        _, controllers, path = line.split(":", 2)
        if not controllers or "memory" in controllers.split(","):
            root = _CONTROL / "memory" if controllers else _CONTROL
            names = _FIRST_VERSION if controllers else _SECOND_VERSION
            # Inside a container its own group is the root, though its path may be the one outside.
            own = PurePosixPath(path.lstrip("/"))
            yield from ((root / group, names) for group in (own, *own.parents))  # the last of which is the root


def _left(group: Path, names: tuple[str, str, str]) -> int:
    limit, used, cached = names
    text = (group / limit).read_text().strip()
    if text == "max":
        return sys.maxsize
    statistics = dict(line.split(" ", 1) for line in (group / "memory.stat").read_text().splitlines())
    return int(text) - int((group / used).read_text()) + int(statistics.get(cached, 0))


def _processor() -> str:
    if _CPUINFO.exists():
        for line in _CPUINFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
