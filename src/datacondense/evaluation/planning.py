"""Plan an evaluation before it: what fits together, how each network is computed, the work of each epoch."""

from ..data.image_set import ImageSet
from ..data.spec import Spec, check_fit_of
from ..engine.cost import training_cost
from ..engine.execution import Compute, Execution, resolve_device
from ..synthetic.set import SyntheticSet, check_labels
from .protocol import Protocol


def check_fit(examples: SyntheticSet | ImageSet, test: ImageSet) -> None:
    """Raise InputError unless the test images have the classes and the shape of the set."""
    if isinstance(examples, SyntheticSet):
        check_labels(len(examples.images), examples.labels, examples.spec)
    check_fit_of(examples.spec, test.spec, "test")


def plan_networks(
    protocol: Protocol, examples: SyntheticSet | ImageSet, spec: Spec, compute: Compute
) -> dict[str, Execution]:
    """Plan the networks of each architecture. All of them first: what cannot run must not be found out after hours."""
    executions: dict[str, Execution] = {}
    for arch, recipe in protocol.recipes.items():
        passes = protocol.nets * recipe.epochs * len(examples) * 3  # backward costs twice a forward
        executions[arch] = compute.plan(arch, spec, passes)
    return executions


def milestones(
    protocol: Protocol, examples: SyntheticSet | ImageSet, test: ImageSet, *, device: str = "auto"
) -> tuple[list[float], float]:
    """Return the work done at the end of each epoch of `evaluate_by`, in order, and the total.

    The last epoch of a network includes its test. In floating-point operations, so that epochs of different
    networks can be added up.
    """
    done, ends = 0.0, []
    for arch, recipe in protocol.recipes.items():
        work = training_cost(arch, test.spec, resolve_device(device))
        for _ in range(protocol.nets):
            for _ in range(recipe.epochs):
                done += work.epoch(len(examples), recipe.batch)
                ends.append(done)
            done += len(test) * work.image
            ends[-1] = done
    return ends, done
