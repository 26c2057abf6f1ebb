"""The gallery: its script draws, and goes on where it was; its page says what each row is."""

from pathlib import Path

import gallery
import pytest
from PIL import Image

from datacondense import METHODS, load_set

PAGE = (Path(__file__).parents[2] / "docs" / "gallery.md").read_text()


def test_the_page_has_the_settings_of_the_script() -> None:
    assert gallery.table(gallery.ONE) in PAGE
    assert gallery.table(gallery.TEN) in PAGE
    assert {method for method, _ in gallery.ONE.values()} == set(METHODS) - {"label-solve"}  # its images are random
    assert f"--arch {gallery.ARCH}" in PAGE


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:a batch of .* images per class:UserWarning")
def test_the_script_draws_and_is_resumed(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    words = f"--data digits --arch ConvNetD1 --scale 0.01 --work {tmp_path}/runs --out {tmp_path}".split()
    gallery.main(gallery.parser().parse_args(words))
    first = [(tmp_path / f"gallery-{ipc}.png").read_bytes() for ipc in (1, 10)]
    assert len(list((tmp_path / "runs/digits").iterdir())) == len(gallery.ONE) + len(gallery.TEN)
    made = load_set(tmp_path / "runs/digits/dm-1")
    assert made.provenance.iterations_done == 2
    with Image.open(tmp_path / "gallery-1.png") as picture:
        assert min(picture.size) > 100
    gallery.main(gallery.parser().parse_args(words))
    assert first == [(tmp_path / f"gallery-{ipc}.png").read_bytes() for ipc in (1, 10)]
    assert "it-gan, 1 per class" in capsys.readouterr().out
