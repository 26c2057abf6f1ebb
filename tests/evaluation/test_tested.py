"""Networks of an evaluation that is interrupted, or that is repeated with more of them."""

from pathlib import Path

import pytest

from datacondense import Compute, Scores, condense
from datacondense.evaluation.cached import evaluate_once
from datacondense.evaluation.protocol import protocol_for
from datacondense.methods import Random
from datacondense.utils import hardware
from datacondense.utils.distributed import ALONE
from datacondense.utils.files import read_json, write_json

EPOCHS = 3


class Evaluation:
    """An evaluation in a run directory that counts its epochs, and may stop after some."""

    def __init__(self, toy, run: Path) -> None:
        self.made, self.test, self.run = condense(Random(arch="MLP"), toy(), 2, out=run), toy(draw=1), run

    def __call__(self, nets: int, stop: float = float("inf"), seed: int = 0) -> tuple[Scores, int]:
        epochs = 0

        def count(done: float, total: float) -> None:
            nonlocal epochs
            epochs += 1
            if epochs == stop:
                raise KeyboardInterrupt

        protocol = protocol_for(self.made, nets=nets, epochs=EPOCHS, seed=seed)
        compute = Compute(device="cpu", compile="off")
        return evaluate_once(protocol, self.made, self.test, self.run, count, compute, ALONE), epochs


def same(one: Scores, other: Scores) -> bool:
    return (one.accuracy, one.per_class, one.confusion) == (other.accuracy, other.per_class, other.confusion)


def test_an_interrupted_evaluation_goes_on_with_the_next_network(toy, tmp_path: Path) -> None:
    whole, _ = Evaluation(toy, tmp_path / "whole")(3)
    evaluation = Evaluation(toy, tmp_path / "parts")
    with pytest.raises(KeyboardInterrupt):
        evaluation(3, stop=EPOCHS + 2)  # in the second network
    first = read_json(tmp_path / "parts/networks.json")["networks"]
    assert [one["index"] for one in first] == [0]
    again, _ = evaluation(3)
    assert same(whole, again)
    entries = read_json(tmp_path / "parts/networks.json")["networks"]
    assert entries[0] == first[0]  # not trained again
    assert again.seconds >= sum(one["seconds"] for one in entries) - 1e-6


def test_more_networks_and_another_seed(toy, tmp_path: Path) -> None:
    evaluation = Evaluation(toy, tmp_path / "run")
    two, _ = evaluation(2)
    kept = (tmp_path / "run/networks.json").read_bytes()
    three, _ = evaluation(3)
    assert three.accuracy["MLP"][:2] == two.accuracy["MLP"]
    assert same(three, Evaluation(toy, tmp_path / "other")(3)[0])
    (tmp_path / "run/evaluation.json").unlink()
    again, epochs = evaluation(3)
    assert (same(again, three), epochs) == (True, 0)
    other, _ = evaluation(2, seed=1)  # whose networks are others
    assert other.accuracy != two.accuracy
    assert (tmp_path / "run/networks.json").read_bytes() != kept


@pytest.mark.parametrize("damage", ["{", '{"asked": {}}', "shape"])
def test_a_damaged_file_costs_only_its_networks(damage: str, toy, tmp_path: Path) -> None:
    evaluation = Evaluation(toy, tmp_path / "run")
    two, _ = evaluation(2)
    path = tmp_path / "run/networks.json"
    content = read_json(path)
    content["networks"][0]["confusion"] = [[1, 2]]
    if damage == "shape":
        write_json(path, content)
    else:
        path.write_text(damage)
    (tmp_path / "run/evaluation.json").unlink()
    assert same(evaluation(2)[0], two)


def test_scores_and_networks_of_other_versions_are_made_again(toy, tmp_path: Path, monkeypatch) -> None:
    evaluation, path = Evaluation(toy, tmp_path / "run"), tmp_path / "run/networks.json"
    first, _ = evaluation(2)
    assert evaluation(2)[1] == 0
    monkeypatch.setattr(hardware, "__version__", "99.0")
    again, epochs = evaluation(2)
    assert (same(again, first), epochs) == (True, 2 * EPOCHS)
    assert again.protocol["versions"]["datacondense"] == "99.0"
    kept = read_json(path)["networks"]
    evaluation(3)
    assert read_json(path)["networks"][:2] == kept  # of this version


def test_networks_without_versions_are_of_those_of_the_scores_beside_them(toy, tmp_path: Path, monkeypatch) -> None:
    """Older files hold none."""
    evaluation, path = Evaluation(toy, tmp_path / "run"), tmp_path / "run/networks.json"
    evaluation(2)
    old = {name: value for name, value in read_json(path).items() if name != "versions"}

    def kept(nets: int) -> bool:
        write_json(path, old)
        evaluation(nets)
        return read_json(path)["networks"][:2] == old["networks"]

    assert kept(3)
    monkeypatch.setattr(hardware, "__version__", "99.0")
    assert not kept(4)
    (tmp_path / "run/evaluation.json").unlink()  # of an interrupted evaluation nothing says otherwise
    assert kept(3)


def test_overwriting_a_run_forgets_its_networks(toy, tmp_path: Path) -> None:
    evaluation = Evaluation(toy, tmp_path / "run")
    evaluation(1)
    condense(Random(arch="MLP"), toy(), 2, out=tmp_path / "run", overwrite=True)
    assert not {"evaluation.json", "networks.json"} & {path.name for path in (tmp_path / "run").iterdir()}
    assert evaluation(1)[1] == EPOCHS
