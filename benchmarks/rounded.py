"""bf16 in float32: a ConvNet whose layers round as those of `--precision bf16` do, for processors without bf16.

A product of two bf16 numbers is exact in float32, and a processor with bf16 adds them up in float32. So a convolution
of rounded images by a rounded kernel, rounded in its turn, is the same arithmetic up to the order of a sum. Gradients
are rounded at the same places. The compiled code must keep the roundings: see `roundings_kept`.
"""

from contextlib import AbstractContextManager
from typing import Any

from torch import Tensor, nn

from datacondense.data.spec import Spec
from datacondense.networks import ConvNet, Network


def rounded(tensor: Tensor) -> Tensor:
    """Return the nearest bf16 numbers, in float32; a gradient is rounded too."""
    return tensor.bfloat16().float()


class RoundedConv2d(nn.Conv2d):
    """A convolution in bf16."""

    def forward(self, input: Tensor) -> Tensor:
        """Round images, kernels, biases and the result."""
        bias = None if self.bias is None else rounded(self.bias)
        return rounded(self._conv_forward(rounded(input), rounded(self.weight), bias))


class Rounded(nn.Module):
    """A tensor that travels in bf16."""

    def forward(self, input: Tensor) -> Tensor:
        """Round it."""
        return rounded(input)


def rounded_convnet(spec: Spec, **options: Any) -> Network:
    """Build the ConvNet in bf16. The head runs in float32, on an embedding in bf16."""
    network = ConvNet(spec, **options)
    for index, layer in enumerate(network.features):
        if isinstance(layer, nn.Conv2d):
            network.features[index] = RoundedConv2d(
                layer.in_channels, layer.out_channels, kernel_size=3, padding=int(layer.padding[0])
            )
    network.features.append(Rounded())
    return network


def roundings_kept() -> AbstractContextManager[None]:
    """Let compiled code round where the code rounds; by default it drops a change of type that is taken back."""
    from torch._inductor import config

    return config.patch(emulate_precision_casts=True)  # pyright: ignore[reportUnknownMemberType, reportReturnType]
