"""The images that a run keeps on its way: which, the same again after a resume, and whose files are deleted."""

import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from datacondense import InputError, Observer, RunProgress, condense, load_set
from datacondense.methods import DistributionMatching, Random
from datacondense.run.snapshots import load, moments, paths

METHOD = DistributionMatching(iterations=6, batch_real=8, lr=0.3, arch="ConvNetD1", augment="none")


class StopAt(Observer):
    """Ctrl-C after an iteration; twice where it is to stop at once."""

    def __init__(self, iteration: int, times: int = 1) -> None:
        self.iteration, self.times = iteration, times

    def progress(self, progress: RunProgress) -> None:
        for _ in range(self.times if progress.iteration == self.iteration else 0):
            signal.raise_signal(signal.SIGINT)

    def message(self, text: str) -> None: ...


def contents(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (run / "snapshots").iterdir()}


def kept(run: Path) -> dict[str, tuple]:
    snapshots = {path.name: load(path) for path in paths(run)}
    return {name: (one.iteration, one.images.tolist(), one.labels.tolist()) for name, one in snapshots.items()}


@pytest.mark.parametrize(
    ("iterations", "number", "expected"),
    [
        (1000, 10, list(range(0, 1001, 100))),
        (25, 10, [0, 2, 5, 7, 10, 12, 15, 17, 20, 22, 25]),
        (3, 10, [0, 1, 2, 3]),
        (20_000, 1, [0, 20_000]),
        (0, 10, [0]),
        (5, 0, []),
    ],
)
def test_snapshots_are_spread_evenly_up_to_the_last_iteration(iterations, number, expected) -> None:
    assert sorted(moments(iterations, number)) == expected


def test_a_snapshot_holds_the_images_of_a_run_of_so_many_iterations(toy, tmp_path) -> None:
    real = toy(channels=3)
    result = condense(METHOD, real, ipc=2, out=tmp_path, snapshots=3)
    assert torch.equal(result.images, condense(METHOD, real, ipc=2).images)
    found = [load(path) for path in paths(tmp_path)]
    assert [path.name for path in paths(tmp_path)] == [f"00000{i}.safetensors" for i in (0, 2, 4, 6)]
    assert [snapshot.iteration for snapshot in found] == [0, 2, 4, 6]
    for snapshot in found:
        after = condense(replace(METHOD, iterations=snapshot.iteration), real, ipc=2)
        expected = ((after.images * 0.25 + 0.5).clamp(0, 1) * 255).round()
        assert snapshot.images.dtype == torch.uint8
        assert torch.equal(snapshot.images.float(), expected)
        assert torch.equal(snapshot.labels, after.labels)
    assert not torch.equal(found[0].images, found[3].images)


def test_without_being_asked_a_run_keeps_none(toy, tmp_path) -> None:
    condense(METHOD, toy(), ipc=1, out=tmp_path)
    assert not (tmp_path / "snapshots").exists()


def test_a_run_stopped_early_keeps_those_it_reached_and_resumed_makes_the_rest(toy, tmp_path) -> None:
    condense(METHOD, toy(), ipc=2, out=tmp_path / "whole", snapshots=3)
    condense(METHOD, toy(), ipc=2, out=tmp_path / "parts", snapshots=3, observers=[StopAt(3)])
    whole, parts = kept(tmp_path / "whole"), kept(tmp_path / "parts")
    assert sorted(parts) == ["000000.safetensors", "000002.safetensors"]
    condense(METHOD, toy(), ipc=2, out=tmp_path / "parts", snapshots=3, resume=True)
    assert kept(tmp_path / "parts") == whole


def test_a_killed_run_writes_the_same_snapshots_again(toy, tmp_path) -> None:
    condense(METHOD, toy(), ipc=1, out=tmp_path, snapshots=6, observers=[StopAt(1)])
    with pytest.raises(KeyboardInterrupt):  # the last checkpoint is that of the first session
        condense(METHOD, toy(), ipc=1, out=tmp_path, snapshots=6, resume=True, observers=[StopAt(5, times=2)])
    before = kept(tmp_path)
    assert sorted(before) == [f"00000{i}.safetensors" for i in range(5)]
    for path in paths(tmp_path)[1:]:
        path.unlink()
    condense(METHOD, toy(), ipc=1, out=tmp_path, snapshots=6, resume=True)
    after = kept(tmp_path)
    assert len(after) == 7
    assert {name: after[name] for name in before} == before


def test_a_resumed_run_may_ask_for_another_number(toy, tmp_path) -> None:
    condense(METHOD, toy(), ipc=1, out=tmp_path, snapshots=2, observers=[StopAt(3)])
    condense(METHOD, toy(), ipc=1, out=tmp_path, snapshots=6, resume=True)
    assert [int(path.stem) for path in paths(tmp_path)] == [0, 3, 4, 5, 6]


def test_what_lies_beyond_the_last_checkpoint_is_deleted(toy, tmp_path) -> None:
    condense(METHOD, toy(), ipc=1, out=tmp_path, snapshots=6, observers=[StopAt(1)])
    with pytest.raises(KeyboardInterrupt):
        condense(METHOD, toy(), ipc=1, out=tmp_path, snapshots=6, resume=True, observers=[StopAt(5, times=2)])
    condense(METHOD, toy(), ipc=1, out=tmp_path, snapshots=6, resume=True, observers=[StopAt(2)])
    assert [int(path.stem) for path in paths(tmp_path)] == [0, 1, 2]


def test_a_session_that_time_ends_spreads_them_over_its_time(toy, tmp_path) -> None:
    method = replace(METHOD, iterations=10**6)
    result = condense(method, toy(), ipc=1, out=tmp_path, snapshots=4, time_budget=1.0, compile="off")
    kept_at = [int(path.stem) for path in paths(tmp_path)]
    assert kept_at[0] == 0
    assert 3 <= len(kept_at) <= 5
    assert kept_at[-1] <= (result.provenance.iterations_done or 0)


def test_a_method_without_iterations_keeps_its_start(toy, tmp_path) -> None:
    result = condense(Random(arch="ConvNetD1"), toy(), ipc=2, out=tmp_path, snapshots=10)
    (path,) = paths(tmp_path)
    assert torch.equal(load(path).images, result.spec.pixels(result.images))


def test_overwrite_deletes_them_and_leaves_what_others_put_there(toy, tmp_path) -> None:
    condense(METHOD, toy(), ipc=1, out=tmp_path, snapshots=3)
    for name in ("notes.txt", "best.safetensors", "1.safetensors"):
        (tmp_path / "snapshots" / name).write_text("mine")
    condense(METHOD, toy(), ipc=1, seed=1, out=tmp_path, overwrite=True)
    assert contents(tmp_path) == dict.fromkeys(["notes.txt", "best.safetensors", "1.safetensors"], b"mine")
    (tmp_path / "own").mkdir()
    condense(METHOD, toy(), ipc=1, out=tmp_path / "own", snapshots=3)
    condense(METHOD, toy(), ipc=1, seed=1, out=tmp_path / "own", overwrite=True)
    assert not (tmp_path / "own" / "snapshots").exists()


def test_files_of_someone_else_with_our_names_are_not_touched(toy, tmp_path) -> None:
    (tmp_path / "snapshots").mkdir()
    (tmp_path / "snapshots" / "000000.safetensors").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"but no run\.json: name another directory"):
        condense(METHOD, toy(), ipc=1, out=tmp_path, snapshots=3, overwrite=True)
    assert contents(tmp_path) == {"000000.safetensors": b"mine"}


def test_numbers_that_make_no_sense_are_refused(toy, tmp_path) -> None:
    with pytest.raises(InputError, match="--snapshots -1: must be at least 0"):
        condense(METHOD, toy(), ipc=1, out=tmp_path / "run", snapshots=-1)
    with pytest.raises(InputError, match="--snapshots 2: snapshots need a run directory"):
        condense(METHOD, toy(), ipc=1, snapshots=2)
    assert not (tmp_path / "run").exists()


def test_what_is_no_snapshot_is_refused(toy, tmp_path) -> None:
    condense(METHOD, toy(), ipc=1, out=tmp_path, snapshots=1)
    path = paths(tmp_path)[0]
    path.write_bytes((tmp_path / "synthetic.safetensors").read_bytes())
    with pytest.raises(InputError, match=r"000000\.safetensors is not a snapshot"):
        load(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match=r"000000\.safetensors is damaged"):
        load(path)
    assert len(load_set(tmp_path)) == 3
