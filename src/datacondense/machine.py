"""What a number was measured on: software versions and hardware."""

import os
import platform
from pathlib import Path

import torch

from ._version import __version__


def versions() -> dict[str, str]:
    """Versions of everything that may change the bits of a result."""
    return {"datacondense": __version__, "torch": torch.__version__, "python": platform.python_version()}


def describe(device: torch.device) -> str:
    """One line that names the processor, such as "AMD EPYC, 2 cores"."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_processor()}, {os.cpu_count()} cores"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
