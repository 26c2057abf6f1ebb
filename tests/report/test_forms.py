"""The report on sets with soft labels, decoders and recipes, and the process of learned labels."""

import html
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from synthetic_sets import encoded
from torch import Tensor

from datacondense import InputError, Provenance, SyntheticSet, condense, evaluate
from datacondense.evaluation.score_log import keep_scores
from datacondense.methods import Random
from datacondense.pictures import save_neighbours
from datacondense.report import write_report
from datacondense.report.process import process_frames, save_process
from datacondense.run import snapshots
from datacondense.synthetic.decoders import DctDecoder, PixelDecoder, TileDecoder
from datacondense.synthetic.set import save
from datacondense.training.recipe import Recipe


def report_on(made: SyntheticSet, run: Path) -> tuple[str, str]:
    """Write a set and its report. Return the page, and its text in one line."""
    run.mkdir(exist_ok=True)
    save(made, run / "synthetic.safetensors")
    write_report([run], run / "report.html")
    page = (run / "report.html").read_text()
    body = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    return page, " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_a_plain_set_has_no_facts_on_its_form(toy, tmp_path: Path) -> None:
    made = condense(Random(arch="MLP"), toy(), 2)
    page, text = report_on(made, tmp_path / "run")
    assert "<dt>decoder</dt>" not in page
    assert "<dt>labels</dt>" not in page
    assert "<dt>recipe</dt>" not in page
    assert 'class="labels"' not in page
    assert "Stored images" not in text
    assert "stored 1.6 kB (pixels, float32)" in text
    assert "bytes images 1,536, labels 6, mean and std 8" in text
    assert "size 4.04 times 6 images in uint8, 1.01 times in float32, 20.2 % of the whole training set" in text


def test_the_facts_name_decoder_labels_and_recipe(toy, tmp_path: Path) -> None:
    recipe = Recipe(epochs=300, augment="dsa", lr=0.02)
    made = replace(encoded(TileDecoder(factor=2), toy(), store="u8", n=2, soft=True), recipe=recipe)
    page, text = report_on(made, tmp_path / "run")
    assert "decoder 4 training images in the room of one, all in that of 6" in text
    assert "labels soft: 3 numbers for each image" in text
    assert "recipe epochs 300, augment dsa, lr 0.02" in text
    assert "6 stored images in place of 120, seen in 24 views, made by " in text
    assert "5 % of 120" in text
    assert "(tiles (factor 2), uint8)" in text
    assert "bytes images 384, masks and ranges 8, labels 144, mean and std 8" in text
    assert "1.42 times 6 images in uint8, 0.354 times in float32, 7.08 % of the whole training set" in text
    row = "run tiles (factor 2), uint8 6 384 8 144 8 544 1.42 0.354 7.08 %"
    assert row in text
    assert re.findall(r'alt="[^"]*, stored image \d+"', page)
    assert "Stored images" in text


def test_stored_images_of_coefficients_are_not_shown(toy, tmp_path: Path) -> None:
    _, text = report_on(encoded(DctDecoder(coefficients=16), toy(), store="f16"), tmp_path / "run")
    assert "Stored images" not in text
    assert "decoder 4 training images in the room of one" in text


def test_images_are_shown_by_their_largest_label_with_three_labels(toy, tmp_path: Path) -> None:
    real = toy()
    spec = replace(real.spec, class_names=("<b>", "second", "third"))
    labels = torch.tensor([[0.25, 0.125, 0.625], [0.5, 0.375, 0.125], [0.25, 0.0, 0.75]])
    made = SyntheticSet(real.at(torch.arange(3)[None])[0], labels, spec, Provenance(method="dm"))
    (tmp_path / "run").mkdir()
    save_neighbours(made, real, tmp_path / "run" / "neighbours.safetensors")
    page, text = report_on(made, tmp_path / "run")
    names = re.findall(r"<li class=\"class\"[^>]*><strong>([^<]+)</strong>", page)
    assert names == ["&lt;b&gt;", "third"]
    lists = re.findall(r'<ol class="labels".*?</ol>', page, re.DOTALL)
    assert len(lists) == 3
    cells = [re.findall(r"<span[^>]*>([^<]+)</span>", one) for one in lists]
    assert cells[0] == ["&lt;b&gt;", "0.50", "second", "0.38", "third", "0.12"]
    assert cells[1] == ["third", "0.62", "&lt;b&gt;", "0.25", "second", "0.12"]
    assert "By the class of the largest label" in text
    assert page.count('class="real"') == 3


def test_sets_of_other_forms_are_compared_by_size(toy, tmp_path: Path) -> None:
    runs = []
    for name, made in {
        "plain": condense(Random(arch="MLP"), toy(), 1),
        "tiles": encoded(TileDecoder(factor=2), toy(), store="u8", n=1),
        "small": encoded(PixelDecoder(), toy(), store="u8", n=1),
    }.items():
        runs.append(tmp_path / name)
        runs[-1].mkdir()
        save(made, runs[-1] / "synthetic.safetensors")
        scores = evaluate(made, toy(draw=1), archs=["MLP"], nets=1, epochs=1, augment="none")
        keep_scores(runs[-1], {name: scores})
    write_report(runs, tmp_path / "all.html")
    assert re.search(r"Accuracy over size\. plain: [\d.]+ % in 0\.8 kB; tiles: ", (tmp_path / "all.html").read_text())
    write_report(runs[:1], tmp_path / "one.html")
    assert "Accuracy over size" not in (tmp_path / "one.html").read_text()


def learned(real, labels: Tensor) -> SyntheticSet:
    """Return a set of one image of each class of a run of two iterations."""
    provenance = Provenance(method="dm", iterations_done=2)
    return SyntheticSet(torch.zeros(3, 1, 8, 8), labels, real.spec, provenance)


def test_the_process_follows_images_whose_labels_are_learned(toy, tmp_path: Path) -> None:
    """Images stand in the class that they have at the end."""
    final = learned(toy(), torch.eye(3)[[1, 0, 2]] * 0.5 + 0.1)
    pixels = torch.arange(3, dtype=torch.uint8)[:, None, None, None].expand(3, 1, 8, 8).contiguous() + 10
    snapshots.save(tmp_path, snapshots.Snapshot(0, pixels, torch.full((3, 3), 1 / 3)))
    frames = process_frames(final, tmp_path, range(3), 1)
    assert list(frames) == [0, 2]
    assert [int(images[0, 0, 0, 0]) for images in frames[0]] == [11, 10, 12]
    assert all(path.stat().st_size > 100 for path in save_process(final, tmp_path, tmp_path / "p.png"))


@pytest.mark.parametrize("labels", [torch.tensor([0, 1, 2]), torch.full((3, 2), 0.5)])
def test_snapshots_with_labels_of_another_kind_are_refused(labels: Tensor, toy, tmp_path: Path) -> None:
    final = learned(toy(), torch.eye(3))
    snapshots.save(tmp_path, snapshots.Snapshot(0, torch.zeros(3, 1, 8, 8, dtype=torch.uint8), labels))
    with pytest.raises(InputError, match="does not belong to the set"):
        process_frames(final, tmp_path, range(3), 1)
