# pyright: reportUnknownMemberType=false
"""Random streams by address: the same (seed, position, name) always draws the same numbers."""

import hashlib
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

import torch

_ALONE = threading.RLock()


@final
@dataclass(frozen=True)
class Streams:
    """Named random streams under one seed.

    `streams.at(iteration)("augment")` is a new generator whose numbers depend only on the seed, the position and the
    name. A resumed run therefore needs no saved generator state, and a draw added in one place shifts no other draw.
    Generators live on the CPU, so a run draws the same numbers on every device. The global generator stays untouched.
    (PyTorch's CPU generator uses 32 bits of its seed: among 10^5 addresses one or two pairs may share numbers.)
    """

    seed: int
    position: tuple[int | str, ...] = ()

    def at(self, *position: int | str) -> "Streams":
        """Return the streams of a position below this one, such as an iteration or a network.

        Start with a word of your own where two consumers with the same seed must not share numbers.
        """
        return Streams(self.seed, self.position + position)

    def __call__(self, name: str) -> torch.Generator:
        """Return a new CPU generator for `name` at this position."""
        address = f"{self.seed}/{'/'.join(map(str, self.position))}/{name}".encode()
        digest = hashlib.blake2b(address, digest_size=8).digest()
        generator = torch.Generator()
        generator.manual_seed(int.from_bytes(digest, "little"))
        return generator


@contextmanager
def global_draws(*devices: torch.device) -> Generator[None]:
    """Lend PyTorch's global generators to code that draws from no other, such as its layers when they are made.

    They are restored on leaving. All threads share them: others that want to draw wait meanwhile, so that none shifts
    the draws of another. Hold nothing inside that another thread may wait for.

    Args:
        devices: GPUs whose generators are lent besides that of the CPU.
    """
    with _ALONE, torch.random.fork_rng(devices=list(devices)):
        yield
