"""What a number was measured on: software versions and hardware."""

import os
import platform
from pathlib import Path

import torch

from ._version import __version__

_MEMORY = ("/proc/meminfo", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current")


def versions() -> dict[str, str]:
    """Versions of everything that may change the bits of a result."""
    return {"datacondense": __version__, "torch": torch.__version__, "python": platform.python_version()}


def describe(device: torch.device) -> str:
    """One line that names the processor, such as "AMD EPYC, 2 cores"."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_processor()}, {os.cpu_count()} cores"


def available_memory() -> int:
    """Bytes of memory that can be taken now without swapping; all there is where the system does not tell."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    free = [total]
    meminfo, limit, used = (Path(path) for path in _MEMORY)
    if meminfo.exists():
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        free.append(1024 * int(fields["MemAvailable"].split()[0]))
    if limit.exists() and limit.read_text().strip() != "max":  # of a container
        free.append(int(limit.read_text()) - int(used.read_text()))
    return min(free)


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
