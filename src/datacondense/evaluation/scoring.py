"""The function evaluate: check its arguments, train networks on a set and on the baselines beside it, test them."""

import warnings
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any, final, get_args, get_type_hints

from typing_extensions import Unpack

from .. import networks
from ..data.conversion import AnyImages, as_image_set
from ..data.image_set import ImageSet
from ..data.source import DataSource
from ..drawing.progress_bar import Bar, progress_bar
from ..engine.execution import Compute, ComputeOptions, resolve_compute
from ..synthetic.set import SyntheticSet, holds_set, load_set
from ..training.loop import Relabel
from ..utils.distributed import Processes, all_processes
from ..utils.errors import InputError, unknown
from ..utils.keywords import check_keywords
from ..utils.ranges import Epochs, plain
from .beside import WHOLE_EPOCHS, Baseline, Beside, Entrant, random_baselines, whole_baselines
from .evaluator import Share, Task, together, train_share
from .planning import check_fit, milestones
from .protocol import Protocol, ProtocolOptions, protocol_for
from .scores import Scores


class NetworkOptions(ProtocolOptions, ComputeOptions, total=False):
    """Keywords of `evaluate` and `estimate_evaluation`, each of which may be left out.

    `device`, `precision` and `compile` are short forms of the fields of `Compute`; they and `compute` exclude each
    other.
    """

    archs: Iterable[networks.Arch] | networks.Arch | None
    """Networks: names, modules, or functions that make a module for a Spec; None takes the one that the set was made
    with. A module has the name of its class and a function its own; its networks start from weights drawn anew."""


class EvaluateOptions(NetworkOptions, total=False):
    """Keywords of `evaluate`, each of which may be left out: those of `NetworkOptions`, and others.

    `device`, `precision` and `compile` are short forms of the fields of `Compute`; they and `compute` exclude each
    other.
    """

    beside: Collection[Beside] | Beside
    """Baselines to train on as well: "random", as many random real images per class as the set stores; "whole", the
    whole real training set. Their scores are `Scores.beside`."""
    train: AnyImages
    """The training images of the baselines, as in `condense`; by default those of the source that the set records."""
    whole_epochs: Epochs
    """Training epochs on the whole set, 30 by default."""
    progress: bool
    """Show a progress bar, as in `condense`."""


_BESIDE = ("beside", "train", "whole_epochs", "progress")


def evaluate(
    examples: SyntheticSet | AnyImages,
    test: AnyImages,
    *,
    compute: Compute | None = None,
    on_epoch: Callable[[], None] = lambda: None,
    processes: Processes | None = None,
    relabel: Relabel | None = None,
    **options: Unpack[EvaluateOptions],
) -> Scores:
    """Train fresh networks of each architecture on `examples`; test each after its last epoch.

    Nothing is chosen by test accuracy.

    Args:
        examples: a synthetic set or the run directory that holds it; or real images for comparison, as in `condense`.
        test: real images of the same classes: an ImageSet, or whatever `as_image_set` takes, such as "digits", whose
            test part is used.
        compute: device, precision and compilation, as in `condense`; `classes_at_once` does not apply.
        on_epoch: called after every epoch of every network; of several processes the first alone calls it.
        processes: processes that share the networks, each with the same arguments; by default all of PyTorch's process
            group, if there is one.
        relabel: a teacher online: takes the normalised images (n, C, H, W) of each training batch, augmented and mixed,
            on the device of the networks; gives their soft labels (n, K), in place of those of the set.
        options: the keywords of `EvaluateOptions`.

    Returns:
        The scores, on all processes; equal to those of a single process.

    Raises:
        InputError: the test images do not fit the set, a name is unknown, a number is out of range, or a module cannot
            be a network for these images.
    """
    check_keywords("evaluate", EvaluateOptions, options, "whole_epochs")
    of_networks: Any = {name: value for name, value in options.items() if name not in _BESIDE}
    processes = all_processes() if processes is None else processes
    with (
        progress_bar("evaluate", options.get("progress", True) and processes.leads) as bar,
        asked("evaluate", examples, test, compute, of_networks, bar) as found,
    ):
        check_fit(found.examples, found.test)
        baselines = found.baselines(options)
        tasks = [found.task(relabel), *(Task(one.protocol, one.examples, found.test) for one in baselines)]
        counts = _counts(tasks, found.compute.device, bar, on_epoch)
        first, shares = 0, list[Share]()
        for task, count in zip(tasks, counts, strict=True):
            shares.append(train_share(task, processes, found.compute, first=first, on_epoch=count))
            first += task.protocol.nets * len(task.protocol.archs)
        # none waits for another before all its networks are trained
        own, *others = [together(share, processes) for share in shares]
    return replace(own, beside={one.label: score for one, score in zip(baselines, others, strict=True)})


@final
@dataclass(frozen=True)
class Asked:
    """Checked arguments of `evaluate`."""

    examples: SyntheticSet | ImageSet
    test: ImageSet
    protocol: Protocol
    compute: Compute

    def task(self, relabel: Relabel | None) -> Task:
        """Return the training on the set itself."""
        return Task(self.protocol, self.examples, self.test, relabel)

    def baselines(self, options: EvaluateOptions) -> list[Baseline]:
        """Return what else is to be trained on. Raises InputError where the training images are not known."""
        beside = options.get("beside", ())
        beside = (beside,) if isinstance(beside, str) else tuple(beside)
        for name in beside:
            if name not in get_args(Beside):
                raise unknown("baseline", name, get_args(Beside))
        if not beside:
            return []
        if not isinstance(self.examples, SyntheticSet):
            raise InputError("baselines stand beside a condensed set, but these are real images: leave out beside")
        real = _training_images(self.examples, options.get("train"))
        entrant = Entrant("set", self.examples, self.protocol)
        found = random_baselines([entrant], real, self.compute.device) if "random" in beside else []
        epochs = plain(options.get("whole_epochs", WHOLE_EPOCHS))
        return [*found, *(whole_baselines([entrant], real, epochs) if "whole" in beside else ())]


@contextmanager
def asked(
    function: str,
    examples: SyntheticSet | AnyImages,
    test: AnyImages,
    compute: Compute | None,
    options: NetworkOptions,
    bar: Bar | None = None,
) -> Generator[Asked, None, None]:
    """Check the arguments of `evaluate`, or of a function with the same; yield the protocol and how to compute.

    Modules that are given as networks have names inside the block.
    """
    check_keywords(function, NetworkOptions, options)
    shown: Any = {} if bar is None else {"progress": bar.read}
    if isinstance(test, SyntheticSet):
        raise InputError("networks are tested on real images, but this is a condensed set: give its test images")
    if isinstance(examples, str | Path) and holds_set(examples):
        examples = load_set(examples)
    examples = examples if isinstance(examples, SyntheticSet) else as_image_set(examples, **shown)
    test = as_image_set(test, part="test", spec=examples.spec, **shown)
    others = ("archs", *get_type_hints(ComputeOptions))
    settings: Any = {name: value for name, value in options.items() if name not in others}
    with networks.registered(options.get("archs")) as archs:
        protocol = protocol_for(examples, archs=archs, **settings)
        yield Asked(examples, test, protocol, resolve_compute(compute, options))


def _training_images(synthetic: SyntheticSet, train: AnyImages) -> ImageSet:
    """Return the training images that a user names, or else those of the source that the set records."""
    if train is not None:
        return as_image_set(train, spec=synthetic.spec)
    recorded = dict(synthetic.provenance.source)
    if not recorded:
        raise InputError("the set does not record its source: name the training images, such as train='digits'")
    real, _ = DataSource.from_json(recorded).load()
    if synthetic.provenance.data_sha256 not in (None, real.fingerprint()):
        warnings.warn(f"{recorded['source']} does not hold the images that the set was made from", stacklevel=4)
    return real


def _counts(tasks: Sequence[Task], device: str, bar: Bar, on_epoch: Callable[[], None]) -> list[Callable[[], None]]:
    """Return for each training what is called after its epochs: `on_epoch`, and the bar if it is shown."""
    if not bar.shown:
        return [on_epoch for _ in tasks]
    works = [milestones(task.protocol, task.examples, task.test, device=device) for task in tasks]
    *before, total = accumulate((work for _, work in works), initial=0.0)

    def counter(ends: Sequence[float], done: float) -> Callable[[], None]:
        left = iter(ends)

        def count() -> None:
            on_epoch()
            now = done + next(left)
            bar.step(now, total, f"{now / total:.0%}")

        return count

    return [counter(ends, done) for (ends, _), done in zip(works, before, strict=True)]
