# pyright: reportUnknownMemberType=false
"""Modules of others as networks: any nn.Module that maps images (N, C, H, W) to logits (N, K)."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from ..data.spec import Spec
from ..utils.errors import InputError, reason
from ..utils.plugins import require_arguments
from ..utils.streams import global_draws
from .base import Network
from .head import linear_head, tensors, without_head
from .sizes import AUTO

_TRIED = 2  # images: the fewest over which a norm is defined


def checked(name: str, make: Any) -> Callable[[Spec], Network]:
    """Return the function of a plug-in as a function of the registry. Raises InputError unless it takes a Spec."""
    if name == AUTO:
        raise InputError(f"a network cannot be called {name}, which stands for one that suits the images: rename it")
    if isinstance(make, nn.Module):
        raise InputError(f"network {name} is a module: write a function of (spec) that returns a new one")
    require_arguments("network", name, make, "spec")
    return partial(_network, name, make)


def _network(name: str, make: Callable[[Spec], nn.Module], spec: Spec) -> Network:
    with torch.device("cpu"):  # not every function runs where tensors have no values
        made = make(spec)
    if isinstance(made, Network):
        return made.to(default_device())
    return ModuleNetwork(partial(make, spec), spec, name)


def default_device() -> torch.device:
    """Return the device of new tensors: the meta device where only shapes and costs are wanted."""
    return torch.empty(()).device


@final
class ModuleNetwork(Network):
    """A module of the user. Its weights are drawn by making it anew, under a seed from the generator of `reset`.

    The embedding is the input of the linear layer whose output is the logits. A module without one can be evaluated,
    but a method that compares embeddings cannot use it.

    Random layers, such as dropout, draw under seeds of their own that `reset` sets. The seed and the number of draws
    are a buffer, so that training is resumed exactly. Such a module is compiled nowhere and trains alone.
    """

    module: nn.Module
    randomness: Tensor | None
    """Seed and number of draws, int64 (2,); None if the module draws nothing in training."""
    _trunk: nn.Module | None = None
    """The module without its head. Neither is registered here: each parameter would have two names."""

    def __init__(self, make: Callable[[], object], spec: Spec, name: str) -> None:
        """Make the module and try it on two images.

        Args:
            make: Returns the module, with fresh weights drawn from PyTorch's global generator of the CPU.
            spec: The images and classes that it is for.
            name: Its name, for messages.

        Raises:
            InputError: It is no module, gives no logits of these classes, or does not depend on the seed alone; a
                parameter of it is frozen, or it assigns a buffer.
        """
        super().__init__()
        self._make, self._spec, self._name = make, spec, name
        self.module = self._fresh(0)
        self._check_trainable()
        again = self._fresh(0)
        self._check_alike(again, equal=True)
        self.register_buffer("randomness", torch.zeros(2, dtype=torch.int64) if self._draws(again) else None)
        self.channels_last = self._takes_channels_last(again)
        self.module.eval()
        self._checked(lambda: self._on_meta(self.module), " on PyTorch's meta device")
        self._head = linear_head(self.module, self._on_meta)
        self.module.train()
        self.to(default_device())

    def embed(self, images: Tensor) -> Tensor:
        if self._trunk is None:
            raise InputError(
                f"network {self._name} has no embedding, which condensing compares: let it end in an nn.Linear that "
                "gives the logits"
            )
        return self._run(self._trunk, images)  # (N, D)

    def forward(self, images: Tensor) -> Tensor:
        return self._run(self.module, images)

    @property
    def side_by_side(self) -> bool:
        if self.randomness is not None:
            return False

        def logits(state: dict[str, Tensor], images: Tensor) -> Tensor:
            return torch.func.functional_call(self, state, (images,))

        stacked = {name: torch.stack([tensor, tensor]).to("meta") for name, tensor in self.state_dict().items()}
        before = self.training
        try:
            for mode in (True, False):
                self.train(mode)
                torch.func.vmap(logits)(stacked, torch.empty(2, _TRIED, *self._spec.shape, device="meta"))
        except Exception:  # PyTorch cannot batch every operation, and raises errors of many kinds
            return False
        finally:
            self.train(before)
        return True

    @torch.no_grad()
    def reset(self, generator: torch.Generator) -> None:
        seed, draws = (int(one) for one in torch.randint(2**62, (2,), generator=generator))
        fresh = self._fresh(seed)
        self._check_alike(fresh)
        new = tensors(fresh)
        for name, tensor in tensors(self.module).items():
            tensor.copy_(new[name])
        if self.randomness is not None:
            self.randomness.copy_(torch.tensor([draws, 0]))

    def train(self, mode: bool = True) -> "ModuleNetwork":
        super().train(mode)
        if self._trunk is not None:
            self._trunk.train(mode)
        return self

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> "ModuleNetwork":
        """Move the tensors as every module does; then share them with the trunk again."""
        super()._apply(fn, recurse)
        head = self._head
        object.__setattr__(self, "_trunk", None if head is None else without_head(self.module, head))
        object.__setattr__(self, "head", None if head is None else self.module.get_submodule(head))
        return self

    def _run(self, module: nn.Module, images: Tensor) -> Tensor:
        """Run the module or its trunk; random layers draw under the seeds of this network."""
        if self.randomness is None or not self.training:
            return module(images)
        return self._run_with_draws(module, images, self.randomness)  # pyright: ignore (PyTorch's decorator: no types)

    @torch.compiler.disable
    def _run_with_draws(self, module: nn.Module, images: Tensor, randomness: Tensor) -> Tensor:
        seed, draws = (int(one) for one in randomness)
        randomness[1] += 1
        with _seeded(seed + draws, images.device):
            return module(images)

    def _fresh(self, seed: int) -> nn.Module:
        """Return the module with weights drawn under a seed, on the CPU."""
        with torch.device("cpu"), _seeded(seed, torch.device("cpu")), torch.enable_grad():
            module = self._make()
            if not isinstance(module, nn.Module):
                raise InputError(f"network {self._name} is of type {type(module).__name__}: return an nn.Module")
            module.cpu()
            if any(isinstance(weight, UninitializedParameter) for weight in module.parameters()):
                self._try(module.eval())
            return module.train(self.training)

    def _check_trainable(self) -> None:
        """Raise InputError for a frozen parameter: training would change it."""
        frozen = next((name for name, weight in self.module.named_parameters() if not weight.requires_grad), None)
        if frozen is not None:
            raise InputError(
                f"network {self._name}: its parameter {frozen} is frozen, but all parameters are trained: register it "
                "as a buffer, or call requires_grad_(True)"
            )

    def _draws(self, module: nn.Module) -> bool:
        """Return whether a module draws random numbers in training mode. Raises InputError if it assigns a buffer."""
        buffers = dict(module.named_buffers())
        with torch.device("cpu"), _seeded(0, torch.device("cpu")):
            before = torch.get_rng_state()
            self._try(module)
            draws = not torch.equal(before, torch.get_rng_state())
        for name, buffer in module.named_buffers():
            if buffer is not buffers.get(name):  # its trunk and its copies would keep the earlier tensor
                raise InputError(
                    f"network {self._name} changes buffer {name} by assignment: change it in place "
                    f"(self.{name.rpartition('.')[2]}.copy_(...))"
                )
        return draws

    def _takes_channels_last(self, module: nn.Module) -> bool:
        """Return whether a module runs with channels last: not with a `view` of its maps, nor a kernel of Conv3d."""
        images = torch.zeros(_TRIED, *self._spec.shape, device="cpu").to(memory_format=torch.channels_last)
        try:
            module.to(memory_format=torch.channels_last)  # pyright: ignore (overload missing in the stubs)
            with torch.device("cpu"), _seeded(0, torch.device("cpu")), torch.no_grad():
                for mode in (True, False):
                    module.train(mode)(images)
        except Exception:  # it is the user's own code, which may raise anything
            return False
        return True

    def _check_alike(self, other: nn.Module, *, equal: bool = False) -> None:
        """Raise InputError if the module made now has other tensors than the first; other values too with `equal`."""
        first, second = tensors(self.module), tensors(other)
        if {name: one.shape for name, one in first.items()} != {name: one.shape for name, one in second.items()}:
            raise InputError(f"network {self._name} has other weights each time it is made: make the same module")
        if equal and not all(torch.equal(one, second[name]) for name, one in first.items()):
            raise InputError(
                f"network {self._name} has other weights under the same seed: draw them with PyTorch's generator only"
            )

    def _on_meta(self, module: nn.Module) -> object:
        """Run a module on the meta device, as the count of its cost does."""
        state = {name: tensor.to("meta") for name, tensor in tensors(module).items()}
        images = torch.zeros(_TRIED, *self._spec.shape, device="meta")
        return torch.func.functional_call(module, state, (images,))

    def _try(self, module: nn.Module) -> Tensor:
        """Run a module on two images of zeros."""
        with torch.no_grad():
            return self._checked(lambda: module(torch.zeros(_TRIED, *self._spec.shape, device="cpu")))

    def _checked(self, run: Callable[[], object], where: str = "") -> Tensor:
        """Return logits. Raises InputError for anything else that `run` gives or raises."""
        shape, wanted = self._spec.shape, (_TRIED, self._spec.classes)
        try:
            logits = run()
        except Exception as error:  # it is the user's own code, which may raise anything
            images = f"{self._spec.name}, {'x'.join(map(str, shape))} (C, H, W)"
            raise InputError(f"network {self._name} cannot take images of {images}{where}: {reason(error)}") from error
        if not isinstance(logits, Tensor) or logits.shape != wanted:
            given = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise InputError(f"network {self._name} gives {given} for {_TRIED} images: let it give logits {wanted}")
        return logits


@contextmanager
def _seeded(seed: int, device: torch.device) -> Generator[None]:
    """Seed PyTorch's global generators of the CPU and of a device, and restore them on leaving."""
    is_gpu = device.type == "cuda"
    with global_draws(*([device] if is_gpu else [])):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU too
        if is_gpu:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield
