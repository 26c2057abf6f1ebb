"""Baselines beside a set from Python: the same as on the command line, and the set's own scores stay the same."""

import json
from pathlib import Path

import numpy as np
import pytest

from datacondense import InputError, condense, evaluate, load_set
from datacondense.cli.app import main
from datacondense.methods import DistributionMatching, Random

METHOD = DistributionMatching(iterations=1, batch_real=8, arch="ConvNetD1", augment="none")


@pytest.mark.slow
def test_python_and_the_command_line_have_the_same_baselines(toy, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    train, test = toy(), toy(draw=1)
    parts = {"test_images": test.images.numpy(), "test_labels": test.labels.numpy()}
    np.savez("toy.npz", images=train.images.numpy(), labels=train.labels.numpy(), **parts)
    made = condense(METHOD, "arrays:toy.npz", 1, out="run")
    words = "evaluate run --nets 1 --epochs 2 --whole-epochs 1 --beside random whole --compile off --out scores.json"
    assert main(words.split()) == 0
    scores = evaluate(
        made, "toy.npz", nets=1, epochs=2, whole_epochs=1, beside=["random", "whole"], compile="off", progress=False
    )
    by_name = {"dm": scores, **scores.beside}
    found = json.loads(Path("scores.json").read_text())
    assert {name: one.accuracy for name, one in by_name.items()} == {
        name: one["accuracy"] for name, one in found.items()
    }
    assert load_set("run").fingerprint() == made.fingerprint()


def test_the_scores_of_the_set_do_not_depend_on_what_stands_beside(toy) -> None:
    made = condense(METHOD, toy(), 1)
    alone = evaluate(made, toy(draw=1), nets=2, epochs=2)
    beside = evaluate(made, toy(draw=1), nets=2, epochs=2, train=toy(), beside="random")
    assert alone.accuracy == beside.accuracy
    assert alone.confusion == beside.confusion
    assert alone.beside == {}
    drawn = evaluate(condense(Random(arch="ConvNetD1"), toy(), 1), toy(draw=1), nets=2, epochs=2, augment="none")
    assert beside.beside["random real"].accuracy == drawn.accuracy


def test_a_baseline_needs_a_set_and_its_training_images(toy) -> None:
    made = condense(METHOD, toy(), 1)
    with pytest.raises(InputError, match="does not record its source: name the training images, such as train="):
        evaluate(made, toy(draw=1), beside=["random"])
    with pytest.raises(InputError, match="these are real images: leave out beside"):
        evaluate(toy(), toy(draw=1), beside=["random"])
    with pytest.raises(InputError, match="unknown baseline 'rand': did you mean 'random'"):
        evaluate(made, toy(draw=1), train=toy(), beside=["rand"])  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="--whole-epochs 0"):
        evaluate(made, toy(draw=1), train=toy(), beside=["whole"], whole_epochs=0)


def test_epochs_of_all_networks_are_reported(toy) -> None:
    made = condense(METHOD, toy(), 1)
    epochs: list[int] = []
    evaluate(
        made,
        toy(draw=1),
        nets=2,
        epochs=3,
        train=toy(),
        beside=["random", "whole"],
        whole_epochs=1,
        on_epoch=lambda: epochs.append(1),
    )
    assert len(epochs) == 2 * (3 + 3 + 1)
