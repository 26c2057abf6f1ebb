"""`evaluate --columns`, `evaluate --augments`, the correlation of `--process`, and `rank`, on a run of digits."""

import json
import re
import shutil
from pathlib import Path

import pytest

from datacondense.cli.app import main

MADE = (
    "condense dm --data digits --ipc 1 --iterations 6 --batch-real 8 --arch MLP --compile off --snapshots 3 --out run"
)
HOW = "--nets 1 --epochs 2 --compile off".split()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose directory no test changes."""
    path = tmp_path_factory.mktemp("fair") / "run"
    assert main([*MADE.split()[:-1], str(path)]) == 0
    return path


@pytest.fixture(autouse=True)
def in_tmp_path(run: Path, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(run, "run")


def test_columns_are_printed_saved_and_reported(capsys) -> None:
    assert main(["evaluate", "run", "--columns", "all", *HOW]) == 0
    output = capsys.readouterr().out
    line = re.search(r"dm +10 +([\d.]+) kB +MLP +([\d.]+) +([\d.]+)", output)
    assert line
    assert line[2] == line[3]  # labels are hard, and there is no recipe
    assert re.search(r"gain over real +MLP +[+-][\d.]+ +[+-][\d.]+", output)
    assert "hard: published recipe, 2 epochs, augmentation color_crop_cutout_scale_rotate; own: published" in " ".join(
        output.split()
    )
    (entry,) = [json.loads(line) for line in Path("run/scores.jsonl").read_text().splitlines()]
    rows = ("dm", "random real", "k-means real")
    assert list(entry) == [f"{row}, {column}" for column in ("hard", "own") for row in rows]
    assert entry["k-means real, own"]["protocol"]["column"] == "own"
    report = Path("run/report.html").read_text()
    assert "The same labels and recipe for all" in report
    assert '<th scope="row">k-means real</th>' in report


def test_a_teacher_labels_the_batches_of_the_column_online(capsys) -> None:
    command = ["evaluate", "run", "--columns", "own", "online", "--teacher", "real", "--temperature", "2", *HOW]
    assert main(command) == 0
    (entry,) = [json.loads(line) for line in Path("run/scores.jsonl").read_text().splitlines()]
    taught = entry["random real, online"]["protocol"]["relabelled"]
    assert (taught["teacher"], taught["arch"], taught["moment"], taught["temperature"]) == ("real", "MLP", 1.0, 2.0)
    assert "relabelled" not in entry["dm, own"]["protocol"]
    assert entry["dm, own"]["accuracy"] != entry["dm, online"]["accuracy"]
    capsys.readouterr()
    assert main(["evaluate", "run", "--teacher", "real", *HOW]) == 2
    assert "--columns online" in capsys.readouterr().err
    assert main(["evaluate", "run", "--columns", "hard", "--teacher", "real", *HOW]) == 2
    assert "--columns online" in capsys.readouterr().err
    assert main(["evaluate", "run", "--columns", "hard", "--temperature", "2", *HOW]) == 2
    assert "--teacher" in capsys.readouterr().err
    assert main(["evaluate", "run", "--columns", "online", *HOW]) == 2
    assert "--teacher real" in capsys.readouterr().err


def test_augmentations_are_columns_with_their_mean(capsys) -> None:
    assert main(["evaluate", "run", "--augments", "none", "crop", "--out", "s.json", *HOW]) == 0
    output = capsys.readouterr().out
    numbers = re.search(r"random real +10 .*MLP +([\d.]+) +([\d.]+) +([\d.]+)", output)
    assert numbers
    assert float(numbers[3]) == pytest.approx((float(numbers[1]) + float(numbers[2])) / 2, abs=0.11)
    scores = json.loads(Path("s.json").read_text())
    assert scores["dm, crop"]["protocol"]["recipes"]["MLP"]["augment"] == "crop"
    assert "Robustness under augmentations" in Path("run/report.html").read_text()


def test_the_process_shows_the_correlation(capsys) -> None:
    assert main(["evaluate", "run", "--process", *HOW]) == 0
    found = re.search(r"loss and accuracy \(Spearman, MLP\): ([+-][\d.]+ over 3 snapshots)", capsys.readouterr().out)
    assert found
    assert f"Rank correlation of loss and accuracy (Spearman): {found[1]}." in Path("run/report.html").read_text()


RANK = ["rank", "run", "--whole-epochs", "1", "--search-nets", "1", "--out", "rank.json", *HOW]


@pytest.mark.slow
def test_both_tell_their_time_in_advance(capsys) -> None:
    assert main(["evaluate", "run", "--columns", "hard", "--dry-run", *HOW]) == 0
    assert "k-means real, hard: 1 networks MLP" in capsys.readouterr().out
    assert main([*RANK, "--dry-run"]) == 0
    output = capsys.readouterr().out
    assert "15 networks" in output  # own and augmented are the same training
    assert "random real, own, search: 5 networks MLP" in output
    assert not Path("rank.json").exists()


def test_rank_prints_scores_and_their_parts(capsys) -> None:
    assert main(RANK) == 0
    output = capsys.readouterr().out
    for word in ("whole set", "random real", "not augmented", "HLR", "IOR", "LRS", "ARS"):
        assert word in output
    found = json.loads(Path("rank.json").read_text())["run"]
    assert f"{100 * found['lrs']['score']:.1f}" in output
    assert len(found["accuracies"]) == 8
    assert len(found["accuracies"][3]["search"]) == 5
    assert [path.name for path in Path("run").iterdir() if path.name == "scores.jsonl"] == []


def test_a_teacher_labels_the_random_images_of_rank(capsys) -> None:
    assert main([*RANK, "--teacher", "real"]) == 2
    assert "--teacher real: no set has soft labels: leave it out" in capsys.readouterr().err
    for seed in ("4", "5"):
        options = f"--teacher real --moment 1 --temperature 2 --training-steps 8 --seed {seed} --out labelled{seed}"
        assert main(["label", "run", *options.split()]) == 0
    both = ["labelled4", "labelled5"]
    assert main([*RANK[:1], *both, *RANK[2:], "--dry-run"]) == 0
    assert main([*RANK[:1], *both, *RANK[2:], "--teacher", "real"]) == 0
    with_teacher = json.loads(Path("rank.json").read_text())
    assert main([*RANK[:1], *both, *RANK[2:]]) == 0
    without = json.loads(Path("rank.json").read_text())
    places = {(one["trained_on"], one["column"]): place for place, one in enumerate(without["labelled4"]["accuracies"])}
    for name in both:
        for key, place in places.items():
            ours, theirs = (one[name]["accuracies"][place]["scores"] for one in (with_teacher, without))
            assert (ours["accuracy"] == theirs["accuracy"]) == (key[0] != "random real"), key


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--columns own --augments crop", "two tables: ask for one at a time"),
        ("--columns own --beside random", "leave out --beside and --process"),
        ("--augments crop --augment none", "--augment and --augments exclude each other"),
        ("--augments shear", "unknown augmentation 'shear'"),
    ],
)
def test_tables_that_cannot_be_are_refused(options: str, message: str, capsys) -> None:
    assert main(["evaluate", "run", *options.split(), *HOW]) == 2
    assert message in capsys.readouterr().err
