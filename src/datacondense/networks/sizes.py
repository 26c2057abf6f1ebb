"""The network that suits a size of images."""

from ..data.spec import Spec

AUTO = "auto"
"""Stands for the network that suits the images."""
_LARGEST = (40, 80, 160)
"""Shorter side in pixels up to which a ConvNet has depth 3, 4, 5: its last maps are then about 4x4, as published."""


def suited(spec: Spec) -> str:
    """Return the ConvNet whose depth suits the shorter side of the images; an MLP for images of one pixel.

    Depth 3, as published, up to 40 pixels; 4 up to 80, 5 up to 160, 6 above. Below 8 pixels as many as there is room
    for.

    Args:
        spec: Shape of the images.
    """
    side = min(spec.shape[1:])
    depth = min(3 + sum(side > most for most in _LARGEST), side.bit_length() - 1)
    return {0: "MLP", 3: "ConvNet"}.get(depth, f"ConvNetD{depth}")


def resolved(arch: str, spec: Spec) -> str:
    """Return the name of a network, with auto resolved for these images.

    Args:
        arch: A name in NETWORKS, or auto.
        spec: The images.
    """
    return suited(spec) if arch == AUTO else arch
