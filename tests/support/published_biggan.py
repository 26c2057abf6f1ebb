"""The state dict of a published BigGAN, with random weights."""

import torch


def published(width: int = 16, latent: int = 128, classes: int = 10) -> dict[str, torch.Tensor]:
    """The names and shapes of the published BigGAN for CIFAR10, narrower: its width is 256."""
    shapes: dict[str, tuple[int, ...]] = {}

    def layer(name: str, *shape: int) -> None:
        shapes.update({f"{name}.weight": shape, f"{name}.bias": shape[:1], f"{name}.u0": (1, shape[0])})
        shapes[f"{name}.sv0"] = (1,)

    layer("linear", width * 16, latent)
    for block in range(3):
        for norm in ("bn1", "bn2"):
            for part in ("gain", "bias"):
                shapes[f"blocks.{block}.0.{norm}.{part}.weight"] = (classes, width)
            for part in ("stored_mean", "stored_var"):
                shapes[f"blocks.{block}.0.{norm}.{part}"] = (width,)
        layer(f"blocks.{block}.0.conv1", width, width, 3, 3)
        layer(f"blocks.{block}.0.conv2", width, width, 3, 3)
        layer(f"blocks.{block}.0.conv_sc", width, width, 1, 1)
    for part in ("gain", "bias", "stored_mean", "stored_var"):
        shapes[f"output_layer.0.{part}"] = (width,)
    layer("output_layer.2", 3, width, 3, 3)
    draw = torch.Generator().manual_seed(0)
    return {
        name: torch.rand(shape, generator=draw) if "var" in name else torch.randn(shape, generator=draw)
        for name, shape in shapes.items()
    }
