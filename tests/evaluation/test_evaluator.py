import json
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from datacondense import ImageSet, InputError, Network, condense, evaluate
from datacondense.augment import Siamese
from datacondense.engine.engine import Engine
from datacondense.engine.execution import Compute, Execution
from datacondense.evaluation.evaluator import Task, join, together, train_share
from datacondense.evaluation.protocol import protocol_for
from datacondense.methods import DistributionMatching, Random
from datacondense.networks import build
from datacondense.training.loop import train
from datacondense.training.recipe import Recipe
from datacondense.utils.distributed import ALONE, Processes
from datacondense.utils.streams import Streams

EAGER = Execution(device="cpu", precision="fp32", compile=False, chunk=64, classes_at_once=3, threads=2)


def test_training_is_the_published_recipe(toy) -> None:
    """Against the recipe spelled out: SGD with momentum and decay by hand, lr / 10 after epoch epochs // 2 + 1."""
    real = toy(sizes=(7, 7, 7))
    engine = Engine(EAGER)
    ours, literal = build("ConvNetW32", real.spec), build("ConvNetW32", real.spec)
    streams, epochs, batch = Streams(5).at(0), 4, 16
    train(ours, real, streams, engine, Recipe(epochs=epochs, batch=batch), augment=Siamese(()))

    literal.reset(streams("network"))
    weights = list(literal.parameters())
    velocity, lr = [torch.zeros_like(w) for w in weights], 0.01
    for epoch in (1, 2, 3, 4):
        order = torch.randperm(21, generator=streams.at(epoch)("order"))
        for index in (order[:16], order[16:]):
            images, labels = real.batch(index)
            gradients = torch.autograd.grad(F.cross_entropy(literal(images), labels), weights)
            for w, v, g in zip(weights, velocity, gradients, strict=True):
                v.mul_(0.9).add_(g + 5e-4 * w.detach())
                w.data -= lr * v
        if epoch == 3:
            lr, velocity = 0.001, [torch.zeros_like(w) for w in weights]
    for one, two in zip(ours.parameters(), literal.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


def test_scores_count_what_they_say(toy) -> None:
    train_set, test = toy(), toy(sizes=(30, 10, 5), draw=1)
    epochs_seen = []
    scores = evaluate(
        train_set,
        test,
        archs=["ConvNetD2", "ConvNetD1"],
        nets=2,
        epochs=30,
        augment="none",
        on_epoch=lambda: epochs_seen.append(1),
    )
    assert len(epochs_seen) == 2 * 2 * 30
    assert set(scores.accuracy) == {"ConvNetD2", "ConvNetD1"}
    for arch, accuracies in scores.accuracy.items():
        for accuracy, per_class in zip(accuracies, scores.per_class[arch], strict=True):
            of_class = [value or 0.0 for value in per_class]
            assert accuracy == pytest.approx((30 * of_class[0] + 10 * of_class[1] + 5 * of_class[2]) / 45)
            assert accuracy > 0.6
    first, second = scores.per_class["ConvNetD2"]
    assert first != second
    json.dumps(scores.to_json(), allow_nan=False)


def test_a_class_without_test_images_has_no_accuracy(toy) -> None:
    train_set = toy()
    full = toy(draw=1)
    some = full.labels != 1
    test = ImageSet(full.images[some], full.labels[some], full.spec)
    scores = evaluate(train_set, test, archs=["ConvNetD1"], nets=1, epochs=1)
    assert [value is None for value in scores.per_class["ConvNetD1"][0]] == [False, True, False]
    json.dumps(scores.to_json(), allow_nan=False)


def test_evaluation_networks_are_not_those_of_condensing(toy, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[torch.Tensor] = []
    reset = Network.reset

    def remember(network: Network, generator: torch.Generator) -> None:
        reset(network, generator)
        drawn.append(network.head.weight.detach().clone())

    monkeypatch.setattr(Network, "reset", remember)
    method = DistributionMatching(iterations=4, batch_real=4, arch="ConvNetD1")
    evaluate(condense(method, toy(), ipc=1), toy(), nets=4, epochs=1)
    assert len(drawn) == 8
    assert len({tuple(weights.flatten().tolist()) for weights in drawn}) == 8


def test_what_cannot_run_is_found_out_before_training(toy) -> None:
    epochs: list[int] = []
    with pytest.raises(InputError, match="unknown arch 'Typo'"):
        evaluate(toy(), toy(), archs=["ConvNetD1", "Typo"], nets=1, epochs=1, on_epoch=lambda: epochs.append(1))
    assert epochs == []


def test_the_same_seed_gives_the_same_scores(toy) -> None:
    arguments = {"archs": ["ConvNetW32"], "nets": 2, "epochs": 5}
    first, second = (evaluate(toy(), toy(draw=1), **arguments, seed=1) for _ in range(2))
    assert first.accuracy == second.accuracy
    assert first.protocol == second.protocol


def test_a_network_of_many_does_not_depend_on_the_others(toy) -> None:
    arguments = {"archs": ["ConvNetW32"], "epochs": 5, "augment": "crop_scale"}
    many = evaluate(toy(), toy(draw=1), nets=3, **arguments).per_class["ConvNetW32"]
    few = evaluate(toy(), toy(draw=1), nets=2, **arguments).per_class["ConvNetW32"]
    assert many[:2] == few


def test_the_protocol_follows_how_the_set_was_made(toy) -> None:
    augmented = condense(DistributionMatching(iterations=0, arch="ConvNetD1"), toy(), ipc=1)
    made = protocol_for(augmented)
    assert made.recipes == {"ConvNetD1": Recipe(epochs=1000, augment="color_crop_cutout_scale_rotate")}
    named = protocol_for(augmented, augment="none", archs=["ConvNet"], epochs=7)
    assert named.recipes == {"ConvNet": Recipe(epochs=7, augment="none")}
    assert protocol_for(toy()).archs == ("ConvNet",)


def test_a_set_made_without_augmentation_is_evaluated_by_dcs_rule(toy) -> None:
    bare = condense(Random(arch="ConvNetW32", augment="none"), toy(), ipc=1)
    both = protocol_for(bare, archs=["ConvNetW32", "ConvNetBN"]).recipes
    assert both["ConvNetW32"] == Recipe(epochs=300, augment="none")
    assert both["ConvNetBN"] == Recipe(epochs=1000, augment="dc:crop_noise")
    mnist = replace(bare, spec=replace(bare.spec, name="mnist"))
    assert protocol_for(mnist).recipes["ConvNetW32"] == Recipe(epochs=1000, augment="dc:crop_scale_rotate")


def test_pools(toy) -> None:
    made_with_bn = condense(Random(arch="ConvNetBN"), toy(), ipc=1)
    assert protocol_for(made_with_bn, pool="SS").archs == ("ConvNetBN",)
    assert protocol_for(made_with_bn, pool="S").archs == ("ConvNet",)
    assert protocol_for(made_with_bn, pool="N").archs == tuple(
        f"ConvNet{norm}" for norm in ("NN", "BN", "LN", "IN", "GN")
    )
    with pytest.warns(
        UserWarning, match="pool D leaves out ConvNetD4: a ConvNet of depth 4 needs images of at least 16x16"
    ):
        assert protocol_for(made_with_bn, pool="D").archs == ("ConvNetD1", "ConvNetD2", "ConvNetD3")
    with pytest.raises(InputError, match="unknown pool 'X'"):
        protocol_for(made_with_bn, pool="X")
    with pytest.raises(InputError, match="--archs and --pool exclude each other"):
        protocol_for(made_with_bn, pool="M", archs=["MLP"])


def test_scores_of_several_sets_join(toy) -> None:
    one, two = (evaluate(toy(), toy(draw=1), archs=["MLP"], nets=2, epochs=2, seed=seed) for seed in (0, 1))
    both = join([one, two])
    assert both.accuracy["MLP"] == one.accuracy["MLP"] + two.accuracy["MLP"]
    assert len(both.per_class["MLP"]) == 4
    assert both.protocol["sets"] == 2


@pytest.mark.slow
def test_compiled_training_agrees_with_eager(toy) -> None:
    arguments = {"archs": ["ConvNetW32"], "nets": 2, "epochs": 30, "augment": "crop"}
    eager, compiled = (evaluate(toy(), toy(draw=1), compile=how, **arguments) for how in ("off", "on"))
    assert compiled.protocol["execution"]["ConvNetW32"]["compile"]
    for one, two in zip(eager.accuracy["ConvNetW32"], compiled.accuracy["ConvNetW32"], strict=True):
        assert one == pytest.approx(two, abs=0.03)


@pytest.mark.parametrize("wrong", [{"nets": 0}, {"epochs": 0}])
def test_counts_below_one_are_refused(toy, wrong) -> None:
    with pytest.raises(InputError, match="must be at least 1 and at most"):
        evaluate(toy(), toy(), **wrong)


def test_test_images_of_another_dataset_are_refused(toy) -> None:
    with pytest.raises(InputError, match=r"do not fit the set made from 'toy': shape is \(3, 8, 8\)"):
        evaluate(toy(), toy(channels=3), epochs=1)


def test_an_unknown_network_is_refused(toy) -> None:
    with pytest.raises(InputError, match="unknown arch"):
        evaluate(toy(), toy(), archs=["Conv"], epochs=1)


@pytest.mark.parametrize("size", [2, 5])
def test_each_network_is_trained_by_one_process(toy, size: int) -> None:
    """Among more processes than networks some have none; over the sets each process has as many as any other."""
    train_set, test = toy(), toy(draw=1)
    protocol = protocol_for(train_set, archs=["MLP", "ConvNetD1"], nets=2, epochs=1)
    of_one = train_share(Task(protocol, train_set, test), ALONE, Compute()).confusions
    trained = [0] * size
    for first in (0, 4, 8, 12, 16):
        ranks = [Processes(rank, size) for rank in range(size)]
        shares = [train_share(Task(protocol, train_set, test), one, Compute(), first=first) for one in ranks]
        keys = [net for share in shares for net in share.confusions]
        assert len(keys) == 4
        found = {net: counts.tolist() for share in shares for net, counts in share.confusions.items()}
        assert found == {net: counts.tolist() for net, counts in of_one.items()}
        trained = [n + len(share.confusions) for n, share in zip(trained, shares, strict=True)]
    assert max(trained) == min(trained)


def test_scores_tell_of_the_smallest_chunk_of_any_process(toy) -> None:
    train_set, test = toy(), toy(draw=1)
    protocol = protocol_for(train_set, archs=["MLP"], nets=2, epochs=1)
    one, other = (train_share(Task(protocol, train_set, test), Processes(rank, 2), Compute()) for rank in range(2))
    smaller = replace(other, executions={"MLP": other.executions["MLP"].halved()})

    class Gathering:
        size = 2

        def gathered(self, _share):
            return [one, smaller]

    scores = together(one, Gathering())  # pyright: ignore[reportArgumentType]
    assert scores.protocol["execution"]["MLP"]["chunk"] == smaller.executions["MLP"].chunk < one.executions["MLP"].chunk
    assert len(scores.accuracy["MLP"]) == 2
