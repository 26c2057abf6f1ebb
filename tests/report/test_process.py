"""How a run made its images: the strip and the animation hold the pixels of the snapshots."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from datacondense import InputError, Observer, RunProgress, condense, load_set
from datacondense.methods import DistributionMatching, Random
from datacondense.report.process import save_process
from datacondense.run.snapshots import load, paths

METHOD = DistributionMatching(iterations=6, batch_real=8, lr=0.3, arch="ConvNetD1", augment="none")
CELL = 8 * 8 + 4


class StopAt(Observer):
    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def progress(self, progress: RunProgress) -> None:
        if progress.iteration == self.iteration:
            import signal

            signal.raise_signal(signal.SIGINT)

    def message(self, text: str) -> None: ...


def enlarged(pixels: torch.Tensor) -> np.ndarray:
    """(C, 8, 8) -> (64, 64, 3)."""
    big = pixels.permute(1, 2, 0).repeat_interleave(8, 0).repeat_interleave(8, 1)
    return big.expand(-1, -1, 3).numpy()


def corner(picture: np.ndarray, tile: np.ndarray) -> tuple[int, int]:
    """Where (y, x) a tile stands first."""
    windows = np.lib.stride_tricks.sliding_window_view(picture, tile.shape)[:, :, 0]
    likely = np.argwhere((windows[..., 0, 0, :] == tile[0, 0]).all(-1))
    return next((int(y), int(x)) for y, x in likely if (windows[y, x] == tile).all())


def frames(path: Path) -> list[np.ndarray]:
    with Image.open(path) as animation:
        return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(animation)]


def strip(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def test_the_strip_has_a_column_for_each_snapshot_and_a_row_for_each_image(toy, tmp_path) -> None:
    result = condense(METHOD, toy(), ipc=2, out=tmp_path, snapshots=3)
    written = save_process(result, tmp_path, tmp_path / "p.png", classes=[2, 0], per_class=2)
    assert written == [tmp_path / "p.png", tmp_path / "p.gif"]
    picture, kept = strip(tmp_path / "p.png"), [load(path).images for path in paths(tmp_path)]
    top, left = corner(picture, enlarged(kept[0][4]))
    for column, images in enumerate(kept):
        x = left + column * (CELL + 4)
        for y, number in ((top, 4), (top + CELL, 5), (top + 2 * CELL + 8, 0), (top + 3 * CELL + 8, 1)):
            assert (picture[y : y + 64, x : x + 64] == enlarged(images[number])).all()
        assert (picture[:top, x : x + 64] < 128).any()  # its heading
    assert picture.shape[1] < left + len(kept) * (CELL + 4) + 20


def test_the_animation_has_a_frame_for_each_snapshot_pixel_by_pixel(toy, tmp_path) -> None:
    result = condense(METHOD, toy(), ipc=2, out=tmp_path, snapshots=3)
    save_process(result, tmp_path, tmp_path / "p.png", per_class=2)
    kept, found = [load(path).images for path in paths(tmp_path)], frames(tmp_path / "p.gif")
    assert len(found) == len(kept) == 4
    where = [corner(found[0], enlarged(image)) for image in kept[0]]
    for frame, images in zip(found, kept, strict=True):
        for (y, x), image in zip(where, images, strict=True):
            assert (frame[y : y + 64, x : x + 64] == enlarged(image)).all()
    titles = [frame[: where[0][0]].tobytes() for frame in found]
    assert len(set(titles)) == 4
    with Image.open(tmp_path / "p.gif") as animation:
        assert animation.info["loop"] == 0
        durations = []
        for index in range(4):
            animation.seek(index)
            durations.append(animation.info["duration"])
    assert durations == [500, 500, 500, 2000]


def test_colours_are_near_and_no_enlarged_pixel_is_dithered(toy, tmp_path) -> None:
    result = condense(METHOD, toy(channels=3), ipc=1, out=tmp_path, snapshots=2)
    save_process(result, tmp_path, tmp_path / "p.png", classes=[1])
    picture, kept = strip(tmp_path / "p.png"), [load(path).images for path in paths(tmp_path)]
    top, left = corner(picture, enlarged(kept[0][1]))
    assert (picture[top : top + 64, left + CELL + 4 :][:, :64] == enlarged(kept[1][1])).all()
    found = frames(tmp_path / "p.gif")
    assert len(found) == len(kept) == 3
    for frame, images in zip(found, kept, strict=True):
        x = int(np.flatnonzero((frame[top : top + 64] != 255).any(2).all(0))[0])
        block = frame[top : top + 64, x : x + 64]
        assert (block == block[::8, ::8].repeat(8, 0).repeat(8, 1)).all()
        assert np.abs(block.astype(int) - enlarged(images[1]).astype(int)).mean() < 8
        assert (frame[0] == 255).all()


def test_the_last_frame_is_the_set_of_a_run_that_was_stopped(toy, tmp_path) -> None:
    result = condense(METHOD, toy(), ipc=1, out=tmp_path, snapshots=3, observers=[StopAt(3)])
    save_process(result, tmp_path, tmp_path / "p.png")
    found = frames(tmp_path / "p.gif")
    assert len(found) == 3  # 0, 2 and, where it stopped, 3
    final = result.spec.pixels(result.images)
    for image in final:
        assert min(corner(found[-1], enlarged(image))) > 0
    assert not torch.equal(final, load(paths(tmp_path)[-1]).images)


def test_a_method_without_iterations_has_one_frame(toy, tmp_path) -> None:
    result = condense(Random(arch="MLP"), toy(), ipc=1, out=tmp_path, snapshots=10)
    save_process(result, tmp_path, tmp_path / "p.png")
    assert len(frames(tmp_path / "p.gif")) == 1


def test_of_many_classes_the_first_twenty_are_drawn(toy, tmp_path) -> None:
    real = toy(sizes=(2,) * 25)
    result = condense(Random(arch="MLP"), real, ipc=1, out=tmp_path, snapshots=1)
    save_process(result, tmp_path, tmp_path / "p.png")
    save_process(result, tmp_path, tmp_path / "first.png", classes=range(20))
    for suffix in (".png", ".gif"):
        assert (tmp_path / f"p{suffix}").read_bytes() == (tmp_path / f"first{suffix}").read_bytes()


def test_without_snapshots_the_error_says_how_to_get_them(toy, tmp_path) -> None:
    result = condense(METHOD, toy(), ipc=1, out=tmp_path)
    with pytest.raises(InputError, match="has no snapshots of its iterations: condense with --snapshots 10"):
        save_process(result, tmp_path, tmp_path / "p.png")


def test_snapshots_of_another_set_are_refused(toy, tmp_path) -> None:
    condense(METHOD, toy(), ipc=1, out=tmp_path / "one", snapshots=1)
    condense(replace(METHOD, iterations=1), toy(), ipc=2, out=tmp_path / "two", snapshots=1)
    (tmp_path / "one" / "snapshots" / "000000.safetensors").replace(tmp_path / "two/snapshots/000000.safetensors")
    with pytest.raises(InputError, match=r"000000\.safetensors does not belong to the set in"):
        save_process(load_set(tmp_path / "two"), tmp_path / "two", tmp_path / "p.png")
    assert not (tmp_path / "p.png").exists()
