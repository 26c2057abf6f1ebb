"""Copies between devices that wait only where they must."""

import torch
from torch import Tensor


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on a device. A copy from the CPU does not wait for earlier work there; one to the CPU does.

    CUDA copies pageable memory aside before it returns, so the original may change at once. PyTorch's copies to the CPU
    that do not wait, on the other hand, may be read before they are made.
    """
    return tensor.to(device, non_blocking=tensor.device.type == "cpu")
