"""The hot primitives: embeddings and gradients of many images by class, in chunks, compiled where that pays."""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import reduce
from typing import Any, final

import torch
from torch import Tensor
from torch.nn import functional as F

from ..networks import Network, plain
from ..utils.distributed import ALONE, Processes
from ..utils.signal_mask import interrupts_blocked
from .execution import Execution

_CLASSES_SIDE_BY_SIDE = {"cpu": False, "cuda": True}  # batched weight gradients of convolutions cost a CPU twice a loop


@final
class Engine:
    """Runs networks over images as an Execution says. Networks given to it must have gone through `prepare`.

    processes: who shares the training of each network, and the classes of a problem that this engine works on; each of
    them makes the same calls. By default nobody.
    """

    def __init__(self, execution: Execution, processes: Processes = ALONE) -> None:
        self.execution = execution
        self.processes = processes
        self.device = torch.device(execution.device)
        self.pause: Callable[[], None] = lambda: None
        """Called between two steps of long work; raises Stopped where that has to end. All processes call it alike."""
        self._compiled: dict[Callable[..., Any], Callable[..., Any]] = {}
        self._weight_gradients: dict[tuple[Network, bool], Callable[..., dict[str, Tensor]]] = {}

    @contextmanager
    def active(self) -> Iterator[None]:
        """Set PyTorch's process-wide switches as the Execution says; put them back on leaving."""
        threads = torch.get_num_threads()
        with ExitStack() as stack:
            torch.set_num_threads(self.execution.threads)
            stack.callback(torch.set_num_threads, threads)
            if self.device.type == "cuda":
                stack.enter_context(_cuda_switches(tf32=self.execution.precision == "tf32"))
            if self.execution.compile:
                # Networks share their forward's code, on which PyTorch counts compilations, and past 8 it would go on
                # uncompiled without a word to us.
                from torch._dynamo import config

                with interrupts_blocked():  # the processes that compile would tell of Ctrl-C at length
                    _start_compilers()
                stack.enter_context(
                    config.patch(
                        recompile_limit=1024, accumulated_recompile_limit=4096, fail_on_recompile_limit_hit=True
                    )
                )
            yield

    def shrink(self) -> bool:
        """Hold half as much in memory at a time from now on. False where that was at its least already."""
        before, self.execution = self.execution, self.execution.halved()
        return self.execution != before

    def prepare(self, network: Network) -> Network:
        """Move to the device, in the memory layout that the compiled code runs fastest in."""
        network = network.to(self.device)
        if self.execution.compile:
            network = network.to(memory_format=torch.channels_last)  # pyright: ignore (overload missing in the stubs)
        return network

    def class_means(self, network: Network, images: Tensor, *, differentiable: bool = False) -> Tensor:
        """Mean embedding of each class: normalised images (K, n, C, H, W) -> (K, D).

        Classes run in chunks: several small classes in one, or a large class in several, so that few embeddings exist
        at a time. A network with batch statistics sees all images in a single forward, so that its statistics mix the
        classes (Zhao & Bilen 2023). `differentiable` keeps the graph back to the images; otherwise none is built.
        """
        with torch.set_grad_enabled(differentiable), plain() if differentiable else nullcontext():
            classes, n = images.shape[:2]
            if network.batch_statistics:
                return self._run(network.embed, images.flatten(0, 1)).unflatten(0, (classes, n)).mean(1)
            if n >= self.execution.chunk:
                return torch.stack([self._embed_sum(network, of_class) / n for of_class in images])
            together = equal_part(classes, self.execution.chunk // n)
            chunks = (
                self._run_padded(network.embed, some.flatten(0, 1), together * n) for some in images.split(together)
            )
            return torch.cat([embedding.unflatten(0, (-1, n)).mean(1) for embedding in chunks])

    def _embed_sum(self, network: Network, images: Tensor) -> Tensor:
        """Sum of the embeddings of images (N, C, H, W) -> (D,)."""
        size = equal_part(len(images), self.execution.chunk)
        return torch.stack([self._run_padded(network.embed, some, size).sum(0) for some in images.split(size)]).sum(0)

    def class_gradients(
        self, network: Network, images: Tensor, labels: Tensor, *, differentiable: bool = False
    ) -> dict[str, Tensor]:
        """Gradient of each class's mean cross-entropy with respect to each weight.

        Normalised images (K, n, C, H, W) with labels (K,) -> {weight: (K, *shape)}. Networks with batch statistics must
        be in evaluation mode, for classes and chunks pass apart. `differentiable` keeps the graph back to the images.
        """
        if not (differentiable or _CLASSES_SIDE_BY_SIDE[self.device.type]):
            return self._gradients_one_by_one(network, images, labels)
        classes, n = images.shape[:2]
        weights = {name: weight.detach() for name, weight in network.named_parameters()}
        most = max(self.execution.chunk // 2, 1)  # backward keeps as much again
        together = equal_part(classes, max(most // n, 1)) if _CLASSES_SIDE_BY_SIDE[self.device.type] else 1
        key = network, together > 1
        if key not in self._weight_gradients:
            self._weight_gradients[key] = _weight_gradients(*key)
        size = equal_part(n, most)
        padding = -n % size if self.execution.compile else 0
        if padding:
            images = F.pad(images, (0, 0) * 3 + (0, padding))
        share = F.pad(images.new_full((n,), 1 / n), (0, padding))  # what each image counts; padding nothing
        function = self._weight_gradients[key]
        blocks = []
        with torch.set_grad_enabled(differentiable), plain():
            for block, of_block in zip(images.split(together), labels.split(together), strict=True):
                parts = zip(block.split(size, dim=1), share.split(size), strict=True)
                chunks = (self.call(function, some, of_block, part, weights) for some, part in parts)
                blocks.append(reduce(_sum, chunks))
            return {name: torch.cat([block[name] for block in blocks]) for name in weights}

    def _gradients_one_by_one(self, network: Network, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """`class_gradients` without a graph, one class after the other: what training runs, compiled once for both."""
        weights = dict(network.named_parameters())
        size = equal_part(images.shape[1], self.execution.chunk)
        sums = {name: weight.new_zeros(len(images), *weight.shape) for name, weight in weights.items()}
        with _trained(network):
            for k, (of_class, label) in enumerate(zip(images, labels, strict=True)):
                for some in of_class.split(size):
                    logits = self._run_padded(network, some, size)
                    loss = F.cross_entropy(logits, label.expand(len(some)), reduction="sum") / len(of_class)
                    # a bias before a norm may have no part in the compiled loss
                    parts = torch.autograd.grad(loss, list(weights.values()), materialize_grads=True)
                    for total, part in zip(sums.values(), parts, strict=True):
                        total[k] += part
        return sums

    def predict(self, network: Network, images: Tensor) -> Tensor:
        """Predicted class of each normalised image (N, C, H, W) -> (N,). Call `network.eval()` before."""
        size = equal_part(len(images), self.execution.chunk)
        with torch.no_grad():
            return torch.cat([self._run_padded(network, some, size).argmax(1) for some in images.split(size)])

    def embed(self, network: Network, images: Tensor, *, differentiable: bool = False) -> Tensor:
        """Embedding of each normalised image (N, C, H, W) -> (N, D). Call `network.eval()` before.

        `differentiable` keeps the graph back to the images; otherwise none is built.
        """
        size = equal_part(len(images), self.execution.chunk)
        with torch.set_grad_enabled(differentiable), plain() if differentiable else nullcontext():
            return torch.cat([self._run_padded(network.embed, some, size) for some in images.split(size)])

    def add_gradients(self, network: Network, images: Tensor, labels: Tensor) -> Tensor:
        """Add to each weight's `.grad` the gradient of the mean cross-entropy of one batch (N, C, H, W), (N,).

        Returns the class that the network said for each image, (N,).
        Chunk by chunk, forward and backward, so that activations stay in the cache; networks with batch statistics
        see the whole batch. Processes that share work take a part of the batch each, if it can be parted; there must be
        no gradient yet then.
        """
        batch = len(images)
        shared = self.processes.size > 1 and not network.batch_statistics
        mine = self.processes.shard(batch) if shared else slice(0, batch)
        images, labels = images[mine], labels[mine]
        size = batch if network.batch_statistics else equal_part(max(len(images), 1), self.execution.chunk)
        parts = [labels[:0]]
        if len(images):
            for some_images, some_labels in zip(images.split(size), labels.split(size), strict=True):
                logits = self._run_padded(network, some_images, size)
                (F.cross_entropy(logits, some_labels, reduction="sum") / batch).backward()
                parts.append(logits.detach().argmax(1))
        said = torch.cat(parts)
        if not shared:
            return said
        all_said = said.new_zeros(batch, dtype=torch.float32)  # as the gradients, with which it is sent
        all_said[mine] = said.float()
        self.processes.all_sum([*gradients(network.parameters()), all_said])
        return all_said.long()

    def _run_padded(self, function: Callable[[Tensor], Tensor], images: Tensor, size: int) -> Tensor:
        """`_run`, on images filled up to `size` where compiled code would otherwise be compiled for their number."""
        if not self.execution.compile or len(images) == size:
            return self._run(function, images)
        filling = images.new_zeros(size - len(images), *images.shape[1:])
        return self._run(function, torch.cat([images, filling]))[: len(images)]

    def _run(self, function: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        output = self.call(function, images)
        return output.float() if output.dtype == torch.bfloat16 else output

    def call(self, function: Callable[..., Any], images: Tensor, *rest: Any) -> Any:
        """Compiled where the Execution says so, in its precision."""
        if not self.execution.compile:
            return self._in_precision(function, images, *rest)
        if images.dim() == 4:
            images = images.contiguous(memory_format=torch.channels_last)
        if function in self._compiled:
            return self._in_precision(self._compiled[function], images, *rest)
        self._compiled[function] = torch.compile(function, dynamic=False)
        output = self._in_precision(self._compiled[function], images, *rest)
        if self.processes.size == 1:  # others may compile other functions
            self.pause()  # compiling has taken long
        return output

    def _in_precision(self, function: Callable[..., Any], images: Tensor, *rest: Any) -> Any:
        if self.execution.precision != "bf16":
            return function(images, *rest)
        with torch.autocast(self.device.type, torch.bfloat16):
            return function(images, *rest)


def _start_compilers() -> None:
    """Start the processes in which PyTorch compiles, where its version has such."""
    from torch._inductor import async_compile

    start = getattr(async_compile, "maybe_warm_pool", None)
    if start is not None:
        start()


@contextmanager
def _trained(network: Network) -> Iterator[None]:
    """All weights of a network require gradients inside; as before on leaving."""
    before = [weight.requires_grad for weight in network.parameters()]
    network.requires_grad_(True)
    try:
        yield
    finally:
        for weight, required in zip(network.parameters(), before, strict=True):
            weight.requires_grad_(required)


def _weight_gradients(network: Network, side_by_side: bool) -> Callable[..., dict[str, Tensor]]:
    """A function of images (G, n, C, H, W), labels (G,), shares (n,) and weights: the gradients of G classes' losses.

    The loss of a class is the cross-entropy of its images, each times its share. `side_by_side` runs the classes as one
    batched computation, otherwise G is 1. Differentiation happens inside (torch.func), because what torch.compile has
    compiled can be differentiated once only.
    """

    def loss(weights: dict[str, Tensor], images: Tensor, label: Tensor, share: Tensor) -> Tensor:
        logits = torch.func.functional_call(network, weights, (images,))
        return (F.cross_entropy(logits, label.expand(len(images)), reduction="none") * share).sum()

    of_class = torch.func.grad(loss)
    of_classes = torch.func.vmap(of_class, in_dims=(None, 0, 0, None))

    def gradients(images: Tensor, labels: Tensor, share: Tensor, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        if side_by_side:
            return of_classes(weights, images, labels, share)
        alone = images[0]  # (n, C, H, W)
        if torch.compiler.is_compiling():
            alone = alone.contiguous(memory_format=torch.channels_last)
        return {name: gradient[None] for name, gradient in of_class(weights, alone, labels[0], share).items()}

    return gradients


def _sum(one: dict[str, Tensor], other: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value + other[name] for name, value in one.items()}


def gradients(parameters: Iterable[Tensor]) -> list[Tensor]:
    """The gradient of each parameter; zeros where there is none yet."""
    found = []
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        found.append(parameter.grad)
    return found


def equal_part(count: int, most: int) -> int:
    """The size of parts of `count`, each at most `most`, that are as equal as can be: compiled code has one shape."""
    return math.ceil(count / math.ceil(count / most))


@contextmanager
def _cuda_switches(*, tf32: bool) -> Iterator[None]:
    """Deterministic convolutions, and TF32 where it is asked for; as before on leaving."""
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.allow_tf32, torch.get_float32_matmul_precision()
    cudnn.deterministic, cudnn.allow_tf32 = True, tf32
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.allow_tf32 = before[:2]
        torch.set_float32_matmul_precision(before[2])
