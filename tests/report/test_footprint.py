"""The bytes of a stored set, part by part, and their ratios to images."""

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from synthetic_sets import encoded
from toy_methods import TOY

from datacondense import Provenance, condense, load_set
from datacondense.cli.app import main
from datacondense.methods import Random
from datacondense.report.footprint import Footprint, measure
from datacondense.report.number_text import ratio, share
from datacondense.synthetic.decoders import DctDecoder, PixelDecoder, TileDecoder
from datacondense.synthetic.generated import Generated
from datacondense.synthetic.set import save

PIXELS, TILES, DCT = PixelDecoder(), TileDecoder(factor=2), DctDecoder(coefficients=16)


def payload(path: Path) -> int:
    """Return the bytes of the tensors in a safetensors file: all after the header and its length."""
    data = path.read_bytes()
    return len(data) - 8 - int.from_bytes(data[:8], "little")


def test_pixels(toy) -> None:
    made = condense(Random(arch="MLP"), toy(channels=3), 4)
    kept = measure(made)
    pixels = 12 * 3 * 8 * 8
    assert (kept.training_images, kept.stored_images, kept.form) == (12, 12, "pixels, float32")
    assert (kept.images, kept.shared, kept.labels, kept.statistics) == (4 * pixels, 0, 12, 24)
    assert kept.to_uint8 == pytest.approx((4 * pixels + 36) / pixels)
    assert kept.to_float32 == pytest.approx((4 * pixels + 36) / (4 * pixels))
    assert kept.to_whole == pytest.approx((4 * pixels + 36) / (120 * 3 * 8 * 8))
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
    assert isinstance(made.stored, Generated)
    weights = sum(2 * weight.numel() for weight in made.stored.generator.state_dict().values())
    scale = 4 * settings["latent"] if storage == "int8" else 0
    assert (kept.form, kept.images, kept.shared) == (
        f"latents, {'float16' if storage == 'fp16' else 'int8'}",
        12 * settings["latent"] * each,
        weights + scale,
    )
    assert kept.stored_images == kept.training_images == 12
    assert kept.total - kept.statistics == payload(tmp_path / "run" / "synthetic.safetensors")
    assert measure(load_set(tmp_path / "run")) == kept


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize(
    ("decoder", "store", "form", "views", "images", "shared"),
    [
        (PIXELS, "f32", "pixels, float32", 1, 6 * 64 * 4, 0),
        (PIXELS, "f16", "pixels, float16", 1, 6 * 64 * 2, 0),
        (PIXELS, "u8", "pixels, uint8", 1, 6 * 64, 8),  # low and step of a channel
        (TILES, "u8", "tiles (factor 2), uint8", 4, 6 * 64, 8),
        (DCT, "u8", "dct (coefficients 16), uint8", 4, 24 * 16, 3 * 8 + 16 * 8),  # masks; low and step of each
    ],
    ids=str,
)
def test_the_parts_are_the_bytes_of_the_file(
    decoder, store, form: str, views: int, images: int, shared: int, soft: bool, toy, tmp_path: Path
) -> None:
    made = encoded(decoder, toy(), store=store, soft=soft)
    kept = measure(made)
    assert (kept.form, kept.training_images, kept.stored_images) == (form, 6 * views, 6)
    labels = 6 * views * ((4 if store == "f32" else 2) * 3 if soft else 1)
    assert (kept.images, kept.shared, kept.labels, kept.statistics) == (images, shared, labels, 8)
    save(made, tmp_path / "synthetic.safetensors")
    assert kept.total - kept.statistics == payload(tmp_path / "synthetic.safetensors")
    assert kept.to_uint8 == pytest.approx((images + shared + labels + 8) / (6 * 64))
    assert kept.to_whole == pytest.approx(kept.total / (120 * 64))
    assert measure(load_set(tmp_path)) == kept


def test_the_whole_set_is_compared_with_only_where_its_size_is_known(toy) -> None:
    made = encoded(PIXELS, toy(), store="u8")
    assert measure(replace(made, provenance=Provenance())).to_whole is None
    assert [share(value) for value in (None, 0.5, 1e-4)] == ["", "50 %", "0.01 %"]
    assert [ratio(value) for value in (0.12345, 4.0, 123.4, 12345.6)] == ["0.123", "4", "123", "12,346"]


def test_a_generator_pays_from_as_many_images_as_its_bytes_are_saved_in() -> None:
    kept = Footprint(
        decoder="latents",
        form="latents, float16",
        training_images=10,
        stored_images=10,
        numbers=64,
        images=100,
        shared=1000,
        labels=0,
        statistics=0,
        real_images=None,
        png=600,
    )
    assert kept.pays_from == 21  # 50 bytes less for each: 20 images are level
    assert replace(kept, images=700).pays_from is None


def test_the_command(toy, tmp_path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("random", "it-gan"):
        condense(TOY[name], toy(), 2, out=tmp_path / name)
    Path("tiles").mkdir()
    save(encoded(TILES, toy(), store="u8", soft=True), Path("tiles", "synthetic.safetensors"))
    assert main(["storage", "random", "it-gan", "tiles"]) == 0
    out = capsys.readouterr().out
    rows = {cells[0]: cells for line in out.splitlines() if len(cells := cells_of(line)) > 10}
    plain, latents = measure(load_set("random")), measure(load_set("it-gan"))
    assert rows["it-gan"][1] == "latents, float16"
    assert rows["it-gan"][8:10] == [f"{latents.total:,}", ratio(latents.to_uint8)]
    assert rows["random"][1:9] == ["pixels, float32", "6", "6", f"{6 * 256:,}", "0", "6", "8", "1,550"]
    assert rows["random"][9:12] == ["4.04", "1.01", share(plain.to_whole)]
    assert rows["tiles"][1:9] == ["tiles (factor 2), uint8", "24", "6", "384", "8", "144", "8", "544"]
    assert rows["tiles"][9:12] == ["1.42", "0.354", "7.08 %"]
    assert [rows[name][13] == "-" for name in ("random", "it-gan", "tiles")] == [True, False, True]
    assert main(["storage", "random"]) == 0
    assert "below PNG" not in capsys.readouterr().out  # a question of generators
    assert main(["storage"]) == 2
    assert "name a run, before the options: datacondense storage RUN" in capsys.readouterr().err


def cells_of(line: str) -> list[str]:
    """Return the cells of a line of a table."""
    return re.split(r" {2,}", line.strip())


def test_images_on_any_scale_are_counted_as_they_are_seen(toy) -> None:
    made = condense(Random(arch="MLP"), toy(), 1)
    brighter = type(made)(made.images + 100, made.labels, made.spec, made.provenance)
    assert measure(brighter).png < measure(made).png  # all white
    assert torch.equal(brighter.spec.pixels(brighter.images), torch.full_like(made.images, 255, dtype=torch.uint8))
