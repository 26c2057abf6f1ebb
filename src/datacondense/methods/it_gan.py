# pyright: reportUnknownMemberType=false
"""Informative training data from a GAN (IT-GAN): optimised latents of a frozen generator."""

import time
from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar, Literal, final

import torch
from msgspec import Meta
from torch import Tensor, nn

from ..engine.execution import Workload
from ..synthetic.generated import Storage, unstorable, unstorable_weights
from ..synthetic.parameters import Latents, Synthetic
from ..training.cache_keys import with_code
from ..training.cached import TrainingCache
from ..training.generators import GeneratorKind, GeneratorRecipe, TrainedGenerator, rehearse_generator, train_generator
from ..training.trajectories import Weights
from ..utils.errors import Diverged
from ..utils.ranges import Batch, Epochs, Iterations, Rate, Share
from ..utils.streams import Streams
from .base import Iteration, Method
from .inversion import INVERTED_AT_ONCE, Inversion, InversionRecipe
from .losses import Updates
from .network_pool import train_pool
from .pretrained_selection import pretraining
from .problem import Problem
from .small_classes import jitter_copies

InitialLatents = Literal["inverted", "random"]


@final
@dataclass(frozen=True, kw_only=True)
class ItGan(Method):
    """Optimise the latents of a generator so that its images train networks well (Zhao & Bilen 2022).

    A class-conditional generator G is trained on all real images and frozen. Of each class `ipc` random real images x
    are inverted to latents z. Then the latents alone are optimised by the gradient of

        (1 - weight) sum_k | mean psi(A(T_k)) - mean psi(A(G(Z_k))) |^2
        + weight sum_k mean_i | psi(A(G(z_i))) - psi(A(x_i)) |^2

    where psi is a network of a pool of varied accuracy without its last layer, T_k and Z_k are batches of class k, A is
    one augmentation draw per class, and x_i is the image that z_i started from, which keeps latents diverse. The
    generator and the latents are stored. Generator, pool and inverted latents are cached. The paper does not state the
    weight, the numbers of iterations and of networks, nor an architecture for images other than 32x32: the defaults
    here are our own.
    """

    embeds: ClassVar[bool] = True

    takes_start: ClassVar[bool] = False

    iterations: Iterations = 1000
    lr: Rate = 0.001
    """Learning rate of the latents, in Adam."""
    weight: Share = 0.1
    """Weight of the distance of each image to the one it started from, 0 to 1; the distance of the means has the
    rest."""
    batch_real: Batch = 64
    """Real images of each class per update, B."""
    batch_latents: Batch = 32
    """Latents of each class per update."""
    init: InitialLatents = "inverted"
    """Initial latents: inverted real images, or N(0, 1) (with --iterations 0 a baseline)."""
    generator: GeneratorKind = "decoder"
    """Generator: decoder (of an autoencoder, cheap) or gan (hinge loss, differentiable augmentation)."""
    generator_steps: Annotated[int, Meta(ge=1, le=10**7)] = 4000
    """Training steps of the generator, on 64 real images each."""
    latent: Annotated[int, Meta(ge=1, le=4096)] = 32
    """Dimensions of a latent."""
    width: Annotated[int, Meta(ge=1, le=1024)] = 128
    """Channels of the generator's smallest map."""
    storage: Storage = "fp16"
    """Format in which latents are stored: fp16 or int8."""
    inversion_steps: Iterations = 100
    """Optimisation steps of each inversion."""
    inversion_lr: Rate = 0.1
    """Learning rate of the inversion."""
    inversion_pixels: Annotated[float, Meta(ge=0, le=1e6)] = 1.0
    """Weight of pixels beside embeddings in the inversion."""
    epochs: Epochs = 3
    """Training epochs, on all real images, of the network whose embeddings the inversion compares."""
    networks: Annotated[int, Meta(ge=1, le=10**3)] = 10
    """Networks in the pool."""
    network_steps: Iterations = 100
    """Training steps of the last network in the pool, on 128 real images each; the first is fresh."""

    @property
    def least_classes(self) -> int:
        """Return 2: the networks of the pool learn to classify."""
        return 2

    def workload(self, each: int) -> Workload:
        """Return the workload of one forward of real, and one forward and backward of generated images."""
        made = min(self.batch_latents, each)
        return Workload(passes=self.batch_real + 4 * made, real=self.batch_real + made, synthetic=made)

    def preparation(self, images: int) -> int:
        """Return the images of the training of the network whose embeddings the inversion compares."""
        return 3 * self.epochs * images if self.init == "inverted" else 0

    def start(self, problem: Problem, streams: Streams) -> Synthetic:
        """Train the generator and the pool of networks, and return the initial latents, (K, ipc, d)."""
        trained = train_generator(
            problem.real, self._generator_recipe(), problem.augment, streams, problem.engine, problem.report
        )
        fault = unstorable_weights(trained.generator)
        if fault:
            raise Diverged(f"{fault}: use other --generator-steps than {self.generator_steps}, --latent or --width")
        pairs = problem.real.draw(problem.ipc, streams("init"), note=False)  # (K, M); the same as of `random`
        if self.init == "random":
            z = torch.randn(pairs.numel(), self.latent, generator=streams("latents")).to(problem.engine.device)
        else:
            z = self._inverted(problem, trained, pairs, streams)
            fault = unstorable(z, self.storage)
            if fault:
                raise Diverged(f"inverted {fault}: use a smaller --inversion-lr than {self.inversion_lr}")
        if self.iterations:
            problem.found["pool"] = train_pool(problem, self.arch, self.networks, self.network_steps, streams)
        z = jitter_copies(z.reshape(*pairs.shape, -1), problem.real.counts, streams("jitter"))
        return Latents(trained.generator, z, pairs, self.storage)

    def optimisers(self, synthetic: Synthetic, state: nn.Module | None) -> dict[str, torch.optim.Optimizer]:
        """Return Adam as the optimiser of the latents."""
        return {"images": torch.optim.Adam(synthetic.parameters(), lr=self.lr)}

    def iterate(self, run: Iteration) -> Updates:
        """Yield the weighted sum of both distances, one term for each group of classes."""
        synthetic, problem, streams = run.synthetic, run.problem, run.streams
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
            embeddings = problem.engine.embed(network, images.flatten(0, 1), differentiable=differentiable)
            return embeddings.reshape(*images.shape[:2], -1)  # (G, n, D)

        def distance(group: slice) -> Tensor:
            real = embedded(problem.real.at(index[group]), group).mean(1)
            paired = embedded(problem.real.at(pairs[group]), group)
            made = embedded(synthetic.at(latents, group), group, differentiable=True)
            mean_distance = (real - made.mean(1)).square().sum()
            pair_distance = (made - paired).square().sum(2).mean(1).sum()
            return (1 - self.weight) * mean_distance + self.weight * pair_distance

        yield map(distance, problem.groups(network))

    def rehearse(self, problem: Problem, streams: Streams) -> tuple[Synthetic, float]:
        """Return random latents, and the seconds of training and inversion, each measured on a few steps."""
        recipe = self._generator_recipe()
        trained, more = rehearse_generator(problem.real, recipe, problem.augment, streams, problem.engine)
        pairs = problem.real.draw(problem.ipc, streams("init"), note=False)
        network = problem.fresh_network(streams("network"))
        problem.found["pool"] = [network.state_dict()]
        if self.init == "inverted":
            more += pretraining(problem, self.arch, self.epochs, streams).seconds_left()
            some = pairs.flatten()[:INVERTED_AT_ONCE]
            inversion_recipe = InversionRecipe(steps=2, lr=self.inversion_lr, pixels=self.inversion_pixels)
            inversion = Inversion(
                problem.real, some, trained, network.eval(), inversion_recipe, streams, problem.engine
            )
            began = time.perf_counter()
            inversion.step()
            more += (time.perf_counter() - began) / 2 / len(some) * self.inversion_steps * pairs.numel()
        z = torch.randn(*pairs.shape, self.latent, generator=streams("latents")).to(problem.engine.device)
        return Latents(trained.generator, z, pairs, self.storage), more

    def _generator_recipe(self) -> GeneratorRecipe:
        return GeneratorRecipe(kind=self.generator, latent=self.latent, width=self.width, steps=self.generator_steps)

    def _inverted(self, problem: Problem, trained: TrainedGenerator, pairs: Tensor, streams: Streams) -> Tensor:
        """Return latents (K * M, d) of the real images at `pairs` (K, M), computed or from the cache."""
        training = pretraining(problem, self.arch, self.epochs, streams)
        network = training.finish(problem.report).network
        recipe = InversionRecipe(steps=self.inversion_steps, lr=self.inversion_lr, pixels=self.inversion_pixels)
        inversion = Inversion(problem.real, pairs.flatten(), trained, network, recipe, streams, problem.engine)
        key: dict[str, Any] = {
            "generator": asdict(self._generator_recipe()),
            "network": [self.arch, training.recipe.to_json()],
            "inversion": asdict(recipe),
            "images": pairs.flatten().tolist(),
        }
        count = pairs.numel()
        full = with_code(key, [self.arch], [training.recipe.loss])
        TrainingCache("latents", problem.real, streams, problem.engine, full).finish(
            inversion, lambda done: problem.report(done / inversion.steps, f"inverting {count} real images")
        )
        return inversion.z
