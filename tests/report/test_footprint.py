"""What a set takes to store, to the byte."""

import io

import pytest
import torch
from PIL import Image
from toy_methods import TOY

from datacondense import condense, load_set
from datacondense.cli.app import main
from datacondense.methods import Random
from datacondense.report.footprint import Footprint, measure


def test_pixels(toy) -> None:
    made = condense(Random(arch="MLP"), toy(channels=3), 4)
    kept = measure(made)
    pixels = 12 * 3 * 8 * 8
    assert (kept.count, kept.form, kept.shared, kept.pays_from) == (12, "pixels, float32", 0, kept.pays_from)
    assert (kept.images, kept.uint8, kept.labels) == (4 * pixels, pixels, 8 * 12)
    sizes = []
    for image in made.spec.pixels(made.images):
        buffer = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(buffer, "PNG")
        sizes.append(len(buffer.getvalue()))
    assert kept.png == sum(sizes)


@pytest.mark.parametrize(("storage", "each"), [("fp16", 2), ("int8", 1)])
def test_latents_and_every_byte_of_their_generator(storage, each: int, toy, tmp_path) -> None:
    settings = {**TOY["it-gan"].settings(), "storage": storage, "iterations": 0}
    made = condense(type(TOY["it-gan"])(**settings), toy(), 4, out=tmp_path / "run")
    kept = measure(made)
    assert made.stored is not None
    weights = sum(2 * weight.numel() for weight in made.stored.generator.state_dict().values())
    scale = 4 * settings["latent"] if storage == "int8" else 0
    assert (kept.form, kept.images, kept.shared) == (
        f"latents, {'float16' if storage == 'fp16' else 'int8'}",
        12 * settings["latent"] * each,
        weights + scale,
    )
    size = (tmp_path / "run" / "synthetic.safetensors").stat().st_size
    assert kept.total < size < kept.total + 20_000  # the rest is the header
    assert measure(load_set(tmp_path / "run")) == kept


def test_a_generator_pays_from_as_many_images_as_its_bytes_are_saved_in() -> None:
    kept = Footprint(count=10, form="", images=100, shared=1000, labels=0, uint8=0, png=600)
    assert kept.pays_from == 21  # 50 bytes less for each: 20 images are level
    none = Footprint(count=10, form="", images=700, shared=1000, labels=0, uint8=0, png=600)
    assert none.pays_from is None


def test_the_command(toy, tmp_path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    for name in ("random", "it-gan"):
        condense(TOY[name], toy(), 2, out=tmp_path / name)
    assert main(["storage", str(tmp_path / "random"), str(tmp_path / "it-gan")]) == 0
    out = capsys.readouterr().out
    assert f"{measure(load_set(tmp_path / 'it-gan')).total:,}" in out
    assert "latents, float16" in out
    assert "pixels, float32" in out
    assert main(["storage"]) == 2
    assert "name a run, before the options: datacondense storage RUN" in capsys.readouterr().err


def test_images_on_any_scale_are_counted_as_they_are_seen(toy) -> None:
    made = condense(Random(arch="MLP"), toy(), 1)
    brighter = type(made)(made.images + 100, made.labels, made.spec, made.provenance)
    assert measure(brighter).png < measure(made).png  # all white
    assert torch.equal(brighter.spec.pixels(brighter.images), torch.full_like(made.images, 255, dtype=torch.uint8))
