"""`evaluate` with a module or function of the user in place of a name."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from datacondense import NETWORKS, InputError, condense, evaluate, keep_scores, load_set
from datacondense.methods import (
    DSA,
    DistributionMatching,
    Forgetting,
    Herding,
    KCenter,
    KernelRegression,
    LabelSolve,
    Random,
)
from datacondense.utils.distributed import Processes

QUICK: dict[str, Any] = {"nets": 2, "epochs": 3, "augment": "none"}


class Perceptron(nn.Module):
    def __init__(self, classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(dropout))
        self.head = nn.Linear(16, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(images))


def dropping(spec) -> nn.Module:
    return Perceptron(spec.classes, dropout=0.3)


@pytest.mark.parametrize("one", [Perceptron(3), dropping], ids=["module", "function"])
def test_scores_are_those_of_the_seed_whatever_else_draws(one, toy) -> None:
    name = "Perceptron" if one is not dropping else "dropping"
    real, test = toy(), toy(draw=1)
    torch.manual_seed(1)
    first = evaluate(real, test, archs=[one, "MLP"], **QUICK)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    again = evaluate(real, test, archs=["MLP", one], **QUICK)
    assert torch.equal(torch.get_rng_state(), before)
    assert first.accuracy == again.accuracy
    assert set(first.accuracy) == {name, "MLP"}
    assert evaluate(real, test, archs="MLP", **QUICK).accuracy["MLP"] == first.accuracy["MLP"]
    assert evaluate(real, test, archs=one, seed=1, **QUICK).accuracy[name] != first.accuracy[name]
    assert name not in NETWORKS


def test_it_learns(toy) -> None:
    scores = evaluate(toy(), toy(draw=1), archs=Perceptron(3), nets=1, epochs=40, augment="none")
    assert scores.mean("Perceptron") > 0.6


def test_a_module_is_left_alone(toy) -> None:
    module = Perceptron(3)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    evaluate(toy(), toy(draw=1), archs=module, **QUICK)
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_scores_are_kept_and_reported_under_its_name(toy, tmp_path) -> None:
    condense(Random(arch="MLP"), toy(), 2, out=tmp_path)
    scores = evaluate(load_set(tmp_path), toy(draw=1), archs=[dropping], **QUICK)
    keep_scores(tmp_path, {"random": scores})
    assert '"dropping"' in (tmp_path / "scores.jsonl").read_text()


def test_processes_share_the_networks(toy) -> None:
    """Two processes, one after the other: each trains its part, by weights that the seed alone decides."""
    from datacondense.engine.execution import Compute
    from datacondense.evaluation.evaluator import Task, train_share
    from datacondense.evaluation.protocol import protocol_for
    from datacondense.networks import registered

    real, test = toy(), toy(draw=1)
    whole = evaluate(real, test, archs=dropping, **QUICK)
    found = {}
    for rank in range(2):
        with registered(dropping) as names:
            protocol = protocol_for(real, archs=names, **QUICK)
            share = train_share(Task(protocol, real, test), Processes(rank=rank, size=2), Compute())
        found.update(share.confusions)
    right = [float(found["dropping", index].diagonal().sum()) / len(test) for index in range(2)]
    assert right == pytest.approx(whole.accuracy["dropping"])


def test_a_method_condenses_with_a_network_of_the_registry(toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS, "my-net", lambda spec: Perceptron(spec.classes))
    method = DistributionMatching(arch="my-net", iterations=3, batch_real=8)
    one, two = (condense(method, toy(), 1, device="cpu") for _ in range(2))
    assert torch.equal(one.images, two.images)
    assert one.provenance.settings["arch"] == "my-net"


def test_a_network_without_an_embedding_is_evaluated_but_condenses_nothing(toy, tmp_path, monkeypatch) -> None:
    def scaled(spec) -> nn.Module:
        return nn.Sequential(Perceptron(spec.classes), nn.Softmax(1))

    scores = evaluate(toy(), toy(draw=1), archs=scaled, **QUICK)
    assert len(scores.accuracy["scaled"]) == 2
    monkeypatch.setitem(NETWORKS, "scaled", scaled)
    with pytest.raises(InputError, match="network scaled has no embedding, which condensing compares"):
        condense(DistributionMatching(arch="scaled", iterations=1, batch_real=8), toy(), 1)
    dream = DSA(arch="scaled", batches="dream", train_on="real", iterations=1)
    others = [one(arch="scaled") for one in (KernelRegression, Herding, KCenter, LabelSolve)]
    for method in (*others, dream):
        with pytest.raises(InputError, match="network scaled has no embedding"):
            condense(method, toy(), 1, out=tmp_path / "taken")
    assert not (tmp_path / "taken").exists()
    assert len(condense(Forgetting(arch="scaled", epochs=1), toy(), 1)) == 3  # needs no embedding
