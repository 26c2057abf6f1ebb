# pyright: reportUnknownMemberType=false
"""Embeddings and gradients of many images by class, in chunks, compiled if that pays."""

import math
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import reduce
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..networks import Network
from ..networks.layers import at_least_float32
from ..networks.module import ModuleNetwork
from ..utils.distributed import ALONE, Processes
from .execution import Execution
from .graphs import begin_step, graphed
from .losses import Criterion, ce
from .torch_switches import switches_for
from .weight_gradients import add, class_gradient_function, gradient_tensors, trainable

_CLASSES_SIDE_BY_SIDE = {"cpu": False, "cuda": True}  # batched weight gradients of convolutions cost a CPU twice a loop


@final
class Engine:
    """Runs networks over images by an Execution. Every network must be prepared with `prepare`.

    Args:
        execution: Device, precision, compilation and sizes of chunks.
        processes: Processes that share the training of each network and the classes of a problem; each makes the same
            calls. By default only this process.
    """

    def __init__(self, execution: Execution, processes: Processes = ALONE) -> None:
        self.execution = execution
        self.processes = processes
        self.device = torch.device(execution.device)
        self.pause: Callable[[], None] = lambda: None
        """Called between two steps of long work; raises Stopped if the work has to end. All processes call it at the
        same points."""
        self._compiled: dict[Callable[..., Any], Callable[..., Any]] = {}
        self._weight_gradients: dict[tuple[Network, bool, Criterion], Callable[..., dict[str, Tensor]]] = {}

    @contextmanager
    def active(self) -> Generator[None, None, None]:
        """Set PyTorch's process-wide switches by the Execution, and restore them on leaving."""
        with switches_for(self.execution):
            yield

    def shrink(self) -> bool:
        """Halve the chunks from now on. Return False if they are already the smallest."""
        before, self.execution = self.execution, self.execution.halved()
        return self.execution != before

    def begin_step(self) -> None:
        """Begin an iteration: no result of the engine from before it is differentiated any more."""
        if self.execution.graphs:
            begin_step()

    def prepare(self, network: Network) -> Network:
        """Move a network to the device, in the memory layout in which its code is fastest.

        Args:
            network: Moved in place.

        Returns:
            The same network.
        """
        network.to(self.device)
        if network.channels_last and (self.execution.compile or _uncompiled_channels_last(network, self.device)):
            network.to(memory_format=torch.channels_last)  # pyright: ignore (overload missing in the stubs)
        return network

    def class_means(self, network: Network, images: Tensor, *, differentiable: bool = False) -> Tensor:
        """Return the mean embedding of each class.

        Classes run in chunks: several small classes in one, or a large class in several, so that few embeddings exist
        at a time. A network with batch statistics sees all images in a single forward, so that its statistics mix the
        classes (Zhao & Bilen 2023).

        Args:
            network: A prepared network.
            images: Normalised images (K, n, C, H, W).
            differentiable: Keep the graph back to the images, for one derivative; otherwise none is built.

        Returns:
            Means (K, D) in float32.
        """
        with torch.set_grad_enabled(differentiable):
            classes, n = images.shape[:2]
            if network.batch_statistics:
                return self._run(network.fused_embed, images.flatten(0, 1)).reshape(classes, n, -1).mean(1)
            if n >= self.execution.chunk:
                return torch.stack([self._embed_sum(network, of_class) / n for of_class in images])
            together = equal_part(classes, self.execution.chunk // n)
            chunks = (
                self._run_padded(network.fused_embed, some.flatten(0, 1), together * n)
                for some in torch.split(images, together)
            )
            return torch.cat([embedding.reshape(-1, n, embedding.shape[1]).mean(1) for embedding in chunks])

    def class_embeddings(
        self, network: Network, images: Tensor, *, differentiable: bool = False, attention: bool = False
    ) -> Tensor:
        """Return the embedding of each image, by class.

        Args:
            network: A prepared network; one with batch statistics sees all images in a single forward.
            images: Normalised images (K, n, C, H, W).
            differentiable: Keep the graph back to the images, for one derivative; otherwise none is built.
            attention: Return `Network.embed_attention` instead of the embedding.

        Returns:
            Embeddings (K, n, D) in float32.
        """
        function = network.embed_attention if attention else network.fused_embed
        flat = images.flatten(0, 1)
        with torch.set_grad_enabled(differentiable):
            chunks = [self._run(function, flat)] if network.batch_statistics else self._in_chunks(function, flat)
            return torch.cat(list(chunks)).reshape(*images.shape[:2], -1)

    def _embed_sum(self, network: Network, images: Tensor) -> Tensor:
        """Return the sum of the embeddings of images (N, C, H, W), (D,)."""
        size = equal_part(len(images), self.execution.chunk)
        chunks = (self._run_padded(network.fused_embed, some, size) for some in torch.split(images, size))
        return torch.stack([embeddings.sum(0) for embeddings in chunks]).sum(0)

    def class_gradients(
        self,
        network: Network,
        images: Tensor,
        labels: Tensor,
        *,
        differentiable: bool = False,
        loss: Criterion = ce,
    ) -> dict[str, Tensor]:
        """Return the gradient of each class's mean loss with respect to each weight.

        Args:
            network: A prepared network. One with batch statistics must be in evaluation mode: classes and chunks pass
                separately.
            images: Normalised images (G, n, C, H, W), by class.
            labels: The label of each image, int64 (G, n) or float (G, n, K).
            differentiable: Keep the graph back to images and soft labels; otherwise none is built.
            loss: The loss of each image. Code is compiled once for each object given here.

        Returns:
            Name of a weight -> its gradients (G, *shape).
        """
        if not (differentiable or _CLASSES_SIDE_BY_SIDE[self.device.type]):
            return self._gradients_one_by_one(network, images, labels, loss)
        classes, n = images.shape[:2]
        weights = {name: weight.detach() for name, weight in network.named_parameters()}
        most = max(self.execution.chunk // 2, 1)  # backward keeps as much again
        together = equal_part(classes, max(most // n, 1)) if _CLASSES_SIDE_BY_SIDE[self.device.type] else 1
        key = network, together > 1, loss
        if key not in self._weight_gradients:
            self._weight_gradients[key] = class_gradient_function(*key)
        size = equal_part(n, most)
        padding = -n % size if self.execution.compile else 0
        if padding:
            images = F.pad(images, (0, 0) * 3 + (0, padding))
            labels = F.pad(labels, (0, 0) * (labels.dim() - 2) + (0, padding))
        share = F.pad(images.new_full((n,), 1 / n), (0, padding))  # the weight of each image; 0 for padding
        function = self._weight_gradients[key]
        blocks: list[dict[str, Tensor]] = []
        with torch.set_grad_enabled(differentiable):
            for block in zip(torch.split(images, together), torch.split(labels, together), strict=True):
                parts = zip(*(torch.split(each, size, dim=1) for each in block), torch.split(share, size), strict=True)
                chunks = (self.call(function, *part, weights) for part in parts)
                blocks.append(reduce(add, chunks))
            return {name: torch.cat([block[name] for block in blocks]) for name in weights}

    def _gradients_one_by_one(
        self, network: Network, images: Tensor, labels: Tensor, loss: Criterion
    ) -> dict[str, Tensor]:
        """Compute `class_gradients` without a graph, one class after the other, by the code of training."""
        weights = dict(network.named_parameters())
        size = equal_part(images.shape[1], self.execution.chunk)
        sums = {name: weight.new_zeros(len(images), *weight.shape) for name, weight in weights.items()}
        with trainable(network):
            for k, of_class in enumerate(zip(images, labels, strict=True)):
                for some, of_some in zip(*(torch.split(each, size) for each in of_class), strict=True):
                    logits = self._run_padded(network.fused_forward, some, size)
                    mean = loss(logits, of_some).sum() / images.shape[1]
                    # a bias before a norm may have no part in the compiled loss
                    parts = torch.autograd.grad(mean, list(weights.values()), materialize_grads=True)
                    for total, part in zip(sums.values(), parts, strict=True):
                        total[k] += part
        return sums

    def predict(self, network: Network, images: Tensor) -> Tensor:
        """Return the predicted class of each normalised image (N, C, H, W), (N,). Call `network.eval()` before."""
        with torch.no_grad():
            return torch.cat([logits.argmax(1) for logits in self._in_chunks(network.fused_forward, images)])

    def embed(self, network: Network, images: Tensor, *, differentiable: bool = False) -> Tensor:
        """Return the embedding of each image. Call `network.eval()` before.

        Args:
            network: A prepared network in evaluation mode.
            images: Normalised images (N, C, H, W).
            differentiable: Keep the graph back to the images, for one derivative; otherwise none is built.

        Returns:
            Embeddings (N, D) in float32.
        """
        with torch.set_grad_enabled(differentiable):
            return torch.cat(list(self._in_chunks(network.fused_embed, images)))

    def add_gradients(self, network: Network, images: Tensor, labels: Tensor, loss: Criterion = ce) -> Tensor:
        """Add to each weight's `.grad` the gradient of the mean loss of one batch.

        Chunks pass one by one, forward and backward, so that activations stay in the cache; networks with batch
        statistics see the whole batch. Processes that share work take a part of the batch each, if it can be split; the
        weights must then have no gradient before.

        Args:
            network: A prepared network whose weights require gradients.
            images: Normalised images (N, C, H, W).
            labels: Their labels, int64 (N,) or float (N, K).
            loss: The loss of each image.

        Returns:
            Predicted classes (N,).
        """
        batch = len(images)
        shared = self.processes.size > 1 and not network.batch_statistics
        mine = self.processes.shard(batch) if shared else slice(0, batch)
        images, labels = images[mine], labels[mine]
        size = batch if network.batch_statistics else equal_part(max(len(images), 1), self.execution.chunk)
        parts = [labels.new_zeros(0, dtype=torch.int64)]
        if self.execution.graphs:
            gradient_tensors(network.parameters())  # else they would be memory of a graph, which its next run changes
        if len(images):
            for some_images, some_labels in zip(torch.split(images, size), torch.split(labels, size), strict=True):
                logits = self._run_padded(network.fused_forward, some_images, size)
                (loss(logits, some_labels).sum() / batch).backward()
                parts.append(logits.detach().argmax(1))
        predictions = torch.cat(parts)
        if not shared:
            return predictions
        all_predictions = predictions.new_zeros(batch, dtype=torch.float32)  # as the gradients it is sent with
        all_predictions[mine] = predictions.float()
        self.processes.all_sum([*gradient_tensors(network.parameters()), all_predictions])
        return all_predictions.long()

    def _in_chunks(self, function: Callable[[Tensor], Tensor], images: Tensor) -> Iterator[Tensor]:
        """Yield the results of a function of images (N, C, H, W), in chunks of equal size."""
        size = equal_part(len(images), self.execution.chunk)
        for some in torch.split(images, size):
            yield self._run_padded(function, some, size)

    def _run_padded(self, function: Callable[[Tensor], Tensor], images: Tensor, size: int) -> Tensor:
        """Apply a function to images, padded to `size` if it would otherwise be compiled for their number."""
        if not self.execution.compile or len(images) == size:
            return self._run(function, images)
        filling = images.new_zeros(size - len(images), *images.shape[1:])
        return self._run(function, torch.cat([images, filling]))[: len(images)]

    def _run(self, function: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        return at_least_float32(self.call(function, images))

    def call(self, function: Callable[..., Any], images: Tensor, *rest: Any) -> Any:
        """Call a function of images, compiled and in the precision of the Execution."""
        if not self.execution.compile:
            return self._in_precision(function, images, *rest)
        if images.dim() == 4 and getattr(getattr(function, "__self__", None), "channels_last", False):
            images = images.contiguous(memory_format=torch.channels_last)
        if function in self._compiled:
            return self._in_precision(self._compiled[function], images, *rest)
        graphs = self.execution.graphs
        self._compiled[function] = graphed(function) if graphs else torch.compile(function, dynamic=False)
        output = self._in_precision(self._compiled[function], images, *rest)
        if self.processes.size == 1:  # other processes may compile other functions
            self.pause()  # compiling has taken long
        return output

    def _in_precision(self, function: Callable[..., Any], images: Tensor, *rest: Any) -> Any:
        if self.execution.precision != "bf16":
            return function(images, *rest)
        with torch.autocast(self.device.type, torch.bfloat16):
            return function(images, *rest)


def _uncompiled_channels_last(network: Network, device: torch.device) -> bool:
    """Return whether uncompiled code is faster with channels last: on a CPU, for networks without norms over pixels.

    Modules of others keep the layout in which they were made.
    """
    slow = nn.GroupNorm, nn.LayerNorm, ModuleNetwork
    return device.type == "cpu" and not any(isinstance(one, slow) for one in network.modules())


def equal_part(count: int, most: int) -> int:
    """Return the size of the most equal parts of `count` with at most `most` each: compiled code has one shape."""
    return math.ceil(count / math.ceil(count / most))
