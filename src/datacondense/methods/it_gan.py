"""Informative latents of a generator (IT-GAN)."""

import time
from dataclasses import asdict, dataclass
from typing import Annotated, ClassVar, Literal, final

import torch
from msgspec import Meta
from torch import Tensor

from ..engine.execution import Load
from ..synthetic.generated import Storage, unstorable, unstorable_weights
from ..synthetic.parameters import Latents, Synthetic
from ..training.cached import Kept
from ..training.generators import GeneratorRecipe, Kind, TrainedGenerator, rehearsed_generator, trained_generator
from ..utils.errors import Diverged
from ..utils.ranges import Batch, Epochs, Iterations, Rate, Share
from ..utils.streams import Streams
from .base import Method, Problem, Updates
from .coreset import learning
from .inversion import INVERTED_AT_ONCE, Inversion, InversionRecipe
from .pool import Weights, pool
from .uneven import varied

Init = Literal["inverted", "random"]


@final
@dataclass(frozen=True, kw_only=True)
class ItGan(Method):
    """Latents whose images, made by a generator, train networks well (Zhao & Bilen 2022).

    A class-conditional generator G is trained on all real images and frozen. Of each class `ipc` random real images x
    are inverted to latents z. Then the latents alone move down the gradient of

        (1 - weight) sum_k | mean psi(A(T_k)) - mean psi(A(G(Z_k))) |^2
        + weight sum_k mean_i | psi(A(G(z_i))) - psi(A(x_i)) |^2

    where psi is a network of a pool of varied accuracy without its last layer, T_k and Z_k are batches of class k, A is
    one augmentation draw per class, and x_i is the image that z_i began from, which keeps latents diverse. What is
    stored is the generator and the latents. Generator, pool and inverted latents are kept in the cache. Not published
    are the weight, the numbers of iterations and of networks, and the architecture for images other than 32x32: ours.
    """

    takes_start: ClassVar[bool] = False

    iterations: Iterations = 1000
    lr: Rate = 0.001
    """Learning rate of the latents, of Adam."""
    weight: Share = 0.1
    """What the distance of each image to the one it began from counts, 0 to 1; that of means counts the rest."""
    batch_real: Batch = 64
    """Real images of each class per update, B."""
    batch_latents: Batch = 32
    """Latents of each class per update."""
    init: Init = "inverted"
    """What latents begin from: inverted real images, or N(0, 1) (with --iterations 0 a baseline)."""
    generator: Kind = "decoder"
    """Generator: decoder (of an autoencoder, cheap) or gan (hinge loss, differentiable augmentation)."""
    generator_steps: Annotated[int, Meta(ge=1, le=10**7)] = 4000
    """Steps in which the generator is trained, on 64 real images each."""
    latent: Annotated[int, Meta(ge=1, le=4096)] = 32
    """Numbers of a latent."""
    width: Annotated[int, Meta(ge=1, le=1024)] = 128
    """Channels of the generator's smallest map."""
    storage: Storage = "fp16"
    """Latents are stored as fp16 or int8."""
    inversion_steps: Iterations = 100
    """Steps in which each image is inverted."""
    inversion_lr: Rate = 0.1
    """Learning rate of the inversion."""
    inversion_pixels: Annotated[float, Meta(ge=0, le=1e6)] = 1.0
    """What pixels count against embeddings in the inversion."""
    epochs: Epochs = 3
    """Epochs of the network whose embeddings the inversion compares, on all real images."""
    networks: Annotated[int, Meta(ge=1, le=10**3)] = 10
    """Networks in the pool."""
    network_steps: Iterations = 100
    """Steps of the most trained network in the pool, on 128 real images each; the first is fresh."""

    def load(self, ipc: int) -> Load:
        made = min(self.batch_latents, ipc)
        return Load(passes=self.batch_real + 4 * made, real=self.batch_real + made, synthetic=made)

    def preparation(self, images: int) -> int:
        return 3 * self.epochs * images

    def start(self, problem: Problem, streams: Streams) -> Synthetic:
        trained = trained_generator(
            problem.real, self._generator_recipe(), problem.augment, streams, problem.engine, problem.tell
        )
        fault = unstorable_weights(trained.generator)
        if fault:
            raise Diverged(f"{fault}: take other --generator-steps than {self.generator_steps}, --latent or --width")
        pairs = problem.real.draw(problem.ipc, streams("init"), note=False)  # (K, M); those that `random` chooses
        if self.init == "random":
            z = torch.randn(pairs.numel(), self.latent, generator=streams("latents")).to(problem.engine.device)
        else:
            z = self._inverted(problem, trained, pairs, streams)
            fault = unstorable(z, self.storage)
            if fault:
                raise Diverged(f"inverted {fault}: take a smaller --inversion-lr than {self.inversion_lr}")
        if self.iterations:
            problem.found["pool"] = pool(problem, self.arch, self.networks, self.network_steps, streams)
        z = varied(z.unflatten(0, pairs.shape), problem.real.counts, streams("jitter"))
        return Latents(trained.generator, z, pairs, self.storage)

    def optimiser(self, synthetic: Synthetic) -> torch.optim.Optimizer:
        return torch.optim.Adam(synthetic.parameters(), lr=self.lr)

    def iterate(self, synthetic: Synthetic, problem: Problem, streams: Streams) -> Updates:
        assert isinstance(synthetic, Latents)
        weights: list[Weights] = problem.found["pool"]
        chosen = int(torch.randint(len(weights), (), generator=streams("network")))
        network = problem.fresh_network(streams("fresh"))
        network.load_state_dict(weights[chosen])
        network.eval()
        view = problem.augment.draw(streams("augment"), problem.classes)  # one draw for each class
        index = problem.real.draw(self.batch_real, streams("real"))  # (K, B)
        latents = torch.rand(synthetic.pairs.shape, generator=streams("latents")).argsort(1)[:, : self.batch_latents]
        pairs = synthetic.pairs.cpu().gather(1, latents)

        def embedded(images: Tensor, group: slice, *, differentiable: bool = False) -> Tensor:
            images = view[group](images)
            found = problem.engine.embed(network, images.flatten(0, 1), differentiable=differentiable)
            return found.unflatten(0, images.shape[:2])  # (G, n, D)

        def distance(group: slice) -> Tensor:
            real = embedded(problem.real.at(index[group]), group).mean(1)
            paired = embedded(problem.real.at(pairs[group]), group)
            made = embedded(synthetic.at(latents, group), group, differentiable=True)
            of_means = (real - made.mean(1)).square().sum()
            of_pairs = (made - paired).square().sum(2).mean(1).sum()
            return (1 - self.weight) * of_means + self.weight * of_pairs

        yield map(distance, problem.groups(network))

    def rehearse(self, problem: Problem, streams: Streams) -> tuple[Synthetic, float]:
        common = problem.augment, streams, problem.engine
        trained, more = rehearsed_generator(problem.real, self._generator_recipe(), *common)
        pairs = problem.real.draw(problem.ipc, streams("init"), note=False)
        network = problem.fresh_network(streams("network"))
        problem.found["pool"] = [network.state_dict()]
        if self.init == "inverted":
            more += learning(problem, self.arch, self.epochs, streams).seconds_left()
            some = pairs.flatten()[:INVERTED_AT_ONCE]
            recipe = InversionRecipe(steps=2, lr=self.inversion_lr, pixels=self.inversion_pixels)
            inversion = Inversion(problem.real, some, trained, network.eval(), recipe, streams, problem.engine)
            began = time.perf_counter()
            inversion.step()
            more += (time.perf_counter() - began) / 2 / len(some) * self.inversion_steps * pairs.numel()
        z = torch.randn(*pairs.shape, self.latent, generator=streams("latents")).to(problem.engine.device)
        return Latents(trained.generator, z, pairs, self.storage), more

    def _generator_recipe(self) -> GeneratorRecipe:
        return GeneratorRecipe(kind=self.generator, latent=self.latent, width=self.width, steps=self.generator_steps)

    def _inverted(self, problem: Problem, trained: TrainedGenerator, pairs: Tensor, streams: Streams) -> Tensor:
        """Latents (K * M, d) of the real images at `pairs` (K, M)."""
        learned = learning(problem, self.arch, self.epochs, streams)
        network = learned.finished(problem.tell).network
        recipe = InversionRecipe(steps=self.inversion_steps, lr=self.inversion_lr, pixels=self.inversion_pixels)
        inversion = Inversion(problem.real, pairs.flatten(), trained, network, recipe, streams, problem.engine)
        what = {
            "generator": asdict(self._generator_recipe()),
            "network": [self.arch, learned.recipe.to_json()],
            "inversion": asdict(recipe),
            "images": pairs.flatten().tolist(),
        }
        count = pairs.numel()
        Kept("latents", problem.real, streams, problem.engine, what).finish(
            inversion, lambda done: problem.tell(done / inversion.steps, f"inverting {count} real images")
        )
        return inversion.z
