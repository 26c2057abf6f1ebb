"""Randomness that is addressed, not consumed: the same (seed, position, name) always draws the same numbers."""

import hashlib
from dataclasses import dataclass
from typing import final

import torch


@final
@dataclass(frozen=True)
class Streams:
    """Named random streams under one seed.

    `streams.at(iteration)("augment")` is a fresh generator whose numbers depend on the seed, the position and the
    name only. So a resumed run needs no saved generator state, and a draw added in one place shifts nothing
    elsewhere. Generators live on the CPU: a run draws the same numbers whatever device it computes on. The global
    generator is never touched. (PyTorch's CPU generator uses 32 bits of its seed, so among 10^5 addresses a pair or two
    may share numbers; which, is left to chance.)
    """

    seed: int
    position: tuple[int | str, ...] = ()

    def at(self, *position: int | str) -> "Streams":
        """The streams of one place inside this one, such as an iteration or a network.

        A consumer that must not share numbers with another of the same seed begins with a word of its own.
        """
        return Streams(self.seed, self.position + position)

    def __call__(self, name: str) -> torch.Generator:
        """A new CPU generator for `name` at this position."""
        address = f"{self.seed}/{'/'.join(map(str, self.position))}/{name}".encode()
        digest = hashlib.blake2b(address, digest_size=8).digest()
        generator = torch.Generator()
        generator.manual_seed(int.from_bytes(digest, "little"))
        return generator
