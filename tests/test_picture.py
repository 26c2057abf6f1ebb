import numpy as np
import pytest
import torch
from PIL import Image

from datacondense import SyntheticSet, condense
from datacondense.methods import Random
from datacondense.picture import save_grid


def test_every_class_is_a_row_of_its_images(toy, tmp_path) -> None:
    real = toy(channels=3)
    synthetic = condense(Random(arch="ConvNetW32"), real, ipc=3)
    save_grid(synthetic, tmp_path / "images.png", per_class=2)
    with Image.open(tmp_path / "images.png") as image:
        picture = np.asarray(image)
    pixels = (real.spec.denormalise(synthetic.images) * 255).round().byte()
    found = 0
    for label in range(3):
        for index in range(2):
            tile = pixels[label * 3 + index].permute(1, 2, 0).repeat_interleave(8, 0).repeat_interleave(8, 1).numpy()
            windows = np.lib.stride_tricks.sliding_window_view(picture, tile.shape)[:, :, 0]
            found += int((windows[..., 0, 0, :] == tile[0, 0]).all(-1)[(windows == tile).all((-1, -2, -3))].any())
    assert found == 6


@pytest.mark.parametrize(("channels", "side"), [(1, 8), (3, 100)])
def test_gray_and_large_images(toy, tmp_path, channels: int, side: int) -> None:
    real = toy(channels=channels, side=side)
    images = real.spec.normalise(real.images[[0, 40, 80]])
    synthetic = SyntheticSet(images, torch.arange(3), real.spec, {})
    save_grid(synthetic, tmp_path / "images.png")
    with Image.open(tmp_path / "images.png") as image:
        assert image.width * image.height > 3 * max(side, 64) ** 2
