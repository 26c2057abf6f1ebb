"""Time whole iterations of `dm` with and without the first block in one pass (`networks/fused_block.py`).

Images as those of FashionMNIST, 10 classes of 6000. Both run in this one process, taking turns, so that a noisy machine
slows both; the figure is the ratio of the medians, beside that of the fastest rounds.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from cases import images, iterations

from datacondense.data.spec import Spec
from datacondense.methods import DistributionMatching
from datacondense.networks import NETWORKS, ConvNet, Network
from datacondense.utils.hardware import versions


def layer_by_layer(spec: Spec) -> Network:
    """Build a ConvNet whose fused pass is the pass through its layers."""
    network = ConvNet(spec)
    object.__setattr__(network, "fused_embed", network.embed)
    return network


def seconds(step: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def main() -> None:
    """Print a row for each number of images per class, compiled and not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--ipc", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--compile", nargs="+", default=["on", "off"])
    options = parser.parse_args()
    NETWORKS["LayerByLayer"] = layer_by_layer
    real = images(per_class=6000)
    print(torch.get_num_threads(), "threads;", versions())
    for compile in options.compile:
        for ipc in options.ipc:
            fused, layers = (
                iterations(DistributionMatching(arch=arch), real, ipc, "cpu", compile)
                for arch in ("ConvNet", "LayerByLayer")
            )
            fused()  # compiles
            layers()
            times = [(seconds(layers), seconds(fused)) for _ in range(options.rounds)]
            without, with_ = (statistics.median(column) for column in zip(*times, strict=True))
            best = [min(column) for column in zip(*times, strict=True)]
            print(
                f"dm ipc {ipc}, compile {compile}: {without:.3f} s without, {with_:.3f} s with, {without / with_:.3f}x"
                f"; fastest rounds {best[0]:.3f} s and {best[1]:.3f} s, {best[0] / best[1]:.3f}x",
                flush=True,
            )


if __name__ == "__main__":
    main()
