"""The run directory, budgets, interrupts, refusals, damage. Bit-for-bit resume is in test_every_method."""

import itertools
import json
import os
import signal
import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from datacondense import Diverged, InputError, Observer, RunProgress, condense, load_set
from datacondense.engine.execution import Workload
from datacondense.methods import DC, DSA, DistributionMatching, GradientMatching, Matching
from datacondense.methods.kmeans import representatives
from datacondense.utils.files import read_json, write_json

METHOD = DistributionMatching(iterations=5, batch_real=8, lr=0.3, arch="ConvNetD1", augment="none")
FILES = {
    "neighbours.safetensors",
    "synthetic.safetensors",
    "run.json",
    "log.jsonl",
    "images.png",
    "checkpoint.safetensors",
}


class Messages(Observer):
    """Keeps what the driver says; calls `act` after each iteration."""

    def __init__(self, act=lambda progress: None) -> None:
        self.texts: list[str] = []
        self.act = act

    def progress(self, progress: RunProgress) -> None:
        self.act(progress)

    def message(self, text: str) -> None:
        self.texts.append(text)


@dataclass(frozen=True, kw_only=True)
class BlowsUp(Matching):
    """A loss of the images' sum that is infinite from the third iteration on."""

    finite: int = 2

    def workload(self, each: int) -> Workload:
        return Workload(passes=1, real=0, synthetic=each)

    def iterate(self, run) -> Generator[Tensor, None, None]:
        yield run.synthetic().sum() * (float("inf") if run.number >= self.finite else 1.0)


def run_json(directory: Path) -> dict:
    return json.loads((directory / "run.json").read_text())


def logged_iterations(directory: Path) -> list[int]:
    return [json.loads(line)["iteration"] for line in (directory / "log.jsonl").read_text().splitlines()]


def test_a_run_writes_its_files_and_they_say_how_it_was_made(toy, tmp_path) -> None:
    result = condense(METHOD, toy(), ipc=2, seed=7, out=tmp_path / "a" / "run", source={"source": "folder:/somewhere"})
    assert {path.name for path in (tmp_path / "a" / "run").iterdir()} == FILES
    stored = load_set(tmp_path / "a" / "run")
    assert torch.equal(stored.images, result.images)
    assert stored.provenance == result.provenance
    run = run_json(tmp_path / "a" / "run")
    assert run["status"] == "complete"
    for key, value in {
        "method": "dm",
        "ipc": 2,
        "seed": 7,
        "iterations_done": 5,
        "source": {"source": "folder:/somewhere"},
    }.items():
        assert run[key] == stored.provenance.to_json()[key] == value
    assert run["settings"] == METHOD.settings()
    assert set(run["execution"]) == {"device", "precision", "compile", "chunk", "classes_at_once", "threads"}
    assert run["versions"]["torch"] == torch.__version__
    assert run["wall_seconds"] > 0


def test_memory_only_runs_write_nothing(toy, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    condense(METHOD, toy(), ipc=1)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_holds_a_run_is_refused(toy, tmp_path) -> None:
    condense(METHOD, toy(), ipc=1, out=tmp_path)
    before = (tmp_path / "synthetic.safetensors").read_bytes()
    with pytest.raises(
        InputError, match="holds another run: continue it with --resume, or replace it with --overwrite"
    ):
        condense(METHOD, toy(), ipc=1, seed=1, out=tmp_path)
    assert (tmp_path / "synthetic.safetensors").read_bytes() == before


def test_overwrite_replaces_the_run_and_leaves_other_files(toy, tmp_path) -> None:
    condense(METHOD, toy(), ipc=1, out=tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "scores.jsonl").write_text("{}\n")
    condense(replace(METHOD, iterations=2), toy(), ipc=2, out=tmp_path, overwrite=True)
    assert len(load_set(tmp_path)) == 6
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 2
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert not (tmp_path / "scores.jsonl").exists()


def test_input_that_is_refused_overwrites_nothing(toy, tmp_path) -> None:
    condense(METHOD, toy(), ipc=1, out=tmp_path)
    before = (tmp_path / "synthetic.safetensors").read_bytes()
    with pytest.raises(InputError):
        condense(METHOD, toy(), ipc=0, out=tmp_path, overwrite=True)
    with pytest.raises(InputError):
        condense(METHOD, toy(), ipc=1, out=tmp_path, overwrite=True, device="gpu")
    with pytest.raises(InputError):
        condense(replace(METHOD, augment="blur"), toy(), ipc=1, out=tmp_path, overwrite=True)
    attention = DistributionMatching(iterations=1, arch="MLP", features="attention")
    with pytest.raises(InputError, match="MLP has no maps for --features attention"):
        condense(attention, toy(), ipc=1, out=tmp_path, overwrite=True)
    with pytest.raises(InputError, match="--distance conv-mse: the network has no convolutions"):
        condense(DSA(iterations=1, arch="MLP", distance="conv-mse"), toy(), ipc=1, out=tmp_path, overwrite=True)
    assert (tmp_path / "synthetic.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 9}, "seed was 0 and is 9"),
        ({"ipc": 2}, "ipc was 1 and is 2"),
        ({"precision": "bf16"}, "precision was 'auto' and is 'bf16'"),
        ({"compile": "off"}, "compile was 'auto' and is 'off'"),
        ({"method": replace(METHOD, lr=2.0, batch_real=4)}, "lr was 0.3 and is 2.0, batch_real was 8 and is 4"),
        ({"sizes": (41, 40, 40)}, "the training images differ: read them with the same options"),
    ],
    ids=str,
)
def test_resume_under_other_settings_says_which_and_refuses(toy, tmp_path, change, message: str) -> None:
    condense(METHOD, toy(), ipc=1, out=tmp_path)
    arguments = {"method": METHOD, "sizes": (40, 40, 40), "ipc": 1, "out": tmp_path, "resume": True, **change}
    real = toy(sizes=arguments.pop("sizes"))
    with pytest.raises(InputError, match=f"cannot resume .* with other settings: {message}"):
        condense(real=real, **arguments)


@dataclass(frozen=True, kw_only=True)
class Namesake(DistributionMatching):  # pyright: ignore[reportGeneralTypeIssues]
    """Its settings have the names of other entries of run.json."""

    precision: str = "coarse"
    seed: int = 3
    ipc: int = 5
    data: str = "mine"


NAMESAKE = Namesake(**METHOD.settings())


@pytest.mark.parametrize("change", [{"precision": "fine"}, {"seed": 4}, {"ipc": 6}, {"data": "other"}], ids=str)
def test_a_setting_is_compared_whatever_its_name(toy, tmp_path, change) -> None:
    condense(NAMESAKE, toy(), ipc=1, out=tmp_path, time_budget=1e-9)
    ((name, value),) = change.items()
    message = f"with other settings: {name} was {getattr(NAMESAKE, name)!r} and is {value!r}$"
    with pytest.raises(InputError, match=message):
        condense(replace(NAMESAKE, **change), toy(), ipc=1, out=tmp_path, resume=True)
    condense(NAMESAKE, toy(), ipc=1, out=tmp_path, resume=True)


def test_a_setting_without_effect_with_which_an_earlier_version_began_does_not_hinder_resuming(toy, tmp_path) -> None:
    whole = condense(METHOD, toy(), ipc=1)
    condense(METHOD, toy(), ipc=1, out=tmp_path, time_budget=1e-9)
    run = run_json(tmp_path)
    run["settings"]["fresh_share"] = 0.3
    write_json(tmp_path / "run.json", run)
    with pytest.raises(InputError, match=r"--fresh-share 0\.3 needs --networks"):
        condense(replace(METHOD, fresh_share=0.3), toy(), ipc=1, out=tmp_path, resume=True)
    with pytest.raises(InputError, match=r"other settings: lr was 0\.3 and is 0\.2$"):
        condense(replace(METHOD, lr=0.2), toy(), ipc=1, out=tmp_path, resume=True)
    resumed = condense(METHOD, toy(), ipc=1, out=tmp_path, resume=True)
    assert torch.equal(resumed.images, whole.images)
    assert resumed.provenance.settings["fresh_share"] == run_json(tmp_path)["settings"]["fresh_share"] == 0.0


def test_resume_keeps_what_the_run_decided(toy, tmp_path) -> None:
    condense(METHOD, toy(), ipc=1, out=tmp_path, time_budget=1e-9)
    run = run_json(tmp_path)
    run["execution"].update(chunk=3, threads=1)
    (tmp_path / "run.json").write_text(json.dumps(run))
    condense(METHOD, toy(), ipc=1, out=tmp_path, resume=True)
    assert run_json(tmp_path)["execution"] == run["execution"]


def test_resume_of_nothing_starts_and_of_a_complete_run_changes_nothing(toy, tmp_path) -> None:
    first = condense(METHOD, toy(), ipc=1, out=tmp_path, resume=True)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    messages = Messages()
    again = condense(METHOD, toy(), ipc=1, out=tmp_path, resume=True, observers=[messages])
    assert torch.equal(first.images, again.images)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert "is complete: there is nothing to resume" in messages.texts[0]


def test_another_version_or_machine_is_told(toy, tmp_path) -> None:
    condense(METHOD, toy(), ipc=1, out=tmp_path, time_budget=1e-9)
    run = run_json(tmp_path)
    run["versions"]["torch"] = "1.0"
    (tmp_path / "run.json").write_text(json.dumps(run))
    messages = Messages()
    condense(METHOD, toy(), ipc=1, out=tmp_path, resume=True, observers=[messages])
    assert any("'torch': '1.0'" in text and "the last bits may differ" in text for text in messages.texts)


def test_a_time_budget_stops_after_an_iteration_with_a_valid_set(toy, tmp_path) -> None:
    result = condense(METHOD, toy(), ipc=1, out=tmp_path, time_budget=1e-9)
    assert result.provenance.iterations_done == 1
    assert run_json(tmp_path)["status"] == "stopped"
    assert len(load_set(tmp_path)) == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_after_the_iteration_and_handlers_are_put_back(toy, tmp_path, number) -> None:
    before = signal.getsignal(number)
    messages = Messages(lambda progress: signal.raise_signal(number) if progress.iteration == 2 else None)
    result = condense(METHOD, toy(), ipc=1, out=tmp_path, observers=[messages])
    assert result.provenance.iterations_done == 2
    assert any("stopping after this update" in text for text in messages.texts)
    assert signal.getsignal(number) is before


def test_a_second_interrupt_stops_at_once_and_keeps_the_checkpoint(toy, tmp_path) -> None:
    def twice(progress: RunProgress) -> None:
        if progress.iteration == 3:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        condense(METHOD, toy(), ipc=1, out=tmp_path, checkpoint_every=0, observers=[Messages(twice)])
    messages = Messages()
    resumed = condense(METHOD, toy(), ipc=1, out=tmp_path, resume=True, observers=[messages])
    assert messages.texts == ["resumed after iteration 2 of 5"]
    assert torch.equal(resumed.images, condense(METHOD, toy(), ipc=1).images)


def test_a_loss_that_is_not_finite_stops_with_the_last_good_set(toy, tmp_path) -> None:
    method = BlowsUp(iterations=9, lr=0.25)
    with pytest.raises(
        Diverged, match=r"no longer finite at iteration 3 \(loss -?inf\).*--lr 0\.25; use a smaller one"
    ):
        condense(method, toy(), ipc=1, out=tmp_path)
    good = condense(replace(method, iterations=2), toy(), ipc=1)
    stored = load_set(tmp_path)
    assert torch.equal(stored.images, good.images)
    assert stored.provenance.iterations_done == 2
    assert run_json(tmp_path)["status"] == "diverged"


def test_a_stop_between_two_updates_keeps_the_images_and_resumes_from_the_iteration(toy, tmp_path) -> None:
    method = DC(iterations=2, batch_real=8, epochs=0, updates=4, arch="ConvNetD1")
    whole = condense(method, toy(), ipc=1)
    updates = 0

    class StopsInTheSecond(GradientMatching):  # asks for a stop before the second update of the second iteration
        def iterate(self, run):
            nonlocal updates
            for loss in super().iterate(run):
                updates += 1
                if updates == 6:
                    signal.raise_signal(signal.SIGINT)
                yield loss

    stopping = StopsInTheSecond(**method.settings())
    part = condense(stopping, toy(), ipc=1, out=tmp_path)
    assert (updates, part.provenance.iterations_done) == (6, 1)  # the sixth was computed and not applied
    assert logged_iterations(tmp_path) == [1]
    after_one = condense(replace(method, iterations=1), toy(), ipc=1)
    assert not torch.equal(part.images, after_one.images)
    assert not torch.equal(part.images, whole.images)
    record = run_json(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({**record, "method": "dc"}))
    assert torch.equal(condense(method, toy(), ipc=1, out=tmp_path, resume=True).images, whole.images)


def flip_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3] ^= 0xFF
    path.write_bytes(bytes(data))


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(toy, tmp_path) -> None:
    stop = Messages(lambda progress: signal.raise_signal(signal.SIGINT) if progress.iteration == 3 else None)
    condense(METHOD, toy(), ipc=1, out=tmp_path, checkpoint_every=0, observers=[stop])
    flip_byte(tmp_path / "checkpoint.safetensors")
    messages = Messages()
    resumed = condense(METHOD, toy(), ipc=1, out=tmp_path, resume=True, observers=[messages])
    assert "checkpoint.safetensors is damaged" in messages.texts[0]
    assert messages.texts[1] == "resumed after iteration 2 of 5"
    assert torch.equal(resumed.images, condense(METHOD, toy(), ipc=1).images)
    assert logged_iterations(tmp_path) == [1, 2, 3, 4, 5]


def test_a_kill_after_the_repair_still_leaves_a_good_checkpoint(toy, tmp_path, monkeypatch) -> None:
    stop = Messages(lambda progress: signal.raise_signal(signal.SIGINT) if progress.iteration == 3 else None)
    condense(METHOD, toy(), ipc=1, out=tmp_path, checkpoint_every=0, observers=[stop])
    flip_byte(tmp_path / "checkpoint.safetensors")
    replace_file = Path.replace

    def killed_between_the_renames(path: Path, target: Path) -> Path:
        if path.name.startswith(".checkpoint.safetensors."):
            raise KeyboardInterrupt
        return replace_file(path, target)

    monkeypatch.setattr(Path, "replace", killed_between_the_renames)
    with pytest.raises(KeyboardInterrupt):
        condense(METHOD, toy(), ipc=1, out=tmp_path, resume=True, checkpoint_every=0)
    monkeypatch.undo()
    (tmp_path / ".checkpoint.safetensors.1.partial").write_bytes(b"of a process that was killed")
    resumed = condense(METHOD, toy(), ipc=1, out=tmp_path, resume=True)
    assert torch.equal(resumed.images, condense(METHOD, toy(), ipc=1).images)
    assert list(tmp_path.glob(".*")) == []


DAMAGED_RUN_JSON = [b"[1]", b"{", b"{}", b'{"settings": []}', b"\xff\xfe"]


@pytest.mark.parametrize("content", [*DAMAGED_RUN_JSON, "no execution", "unknown key in execution"])
def test_a_damaged_run_json_is_refused_and_may_be_replaced(content: str | bytes, toy, tmp_path) -> None:
    condense(METHOD, toy(), ipc=1, out=tmp_path, time_budget=1e-9)
    run = run_json(tmp_path)
    if content == "no execution":
        del run["execution"]
    if content == "unknown key in execution":
        run["execution"]["later"] = 1
    (tmp_path / "run.json").write_bytes(content if isinstance(content, bytes) else json.dumps(run).encode())
    with pytest.raises(InputError, match=r"run\.json is damaged"):
        condense(METHOD, toy(), ipc=1, out=tmp_path, resume=True)
    condense(METHOD, toy(), ipc=1, out=tmp_path, overwrite=True)
    assert run_json(tmp_path)["status"] == "complete"


@pytest.mark.parametrize("line", [b"{}\n", b"3\n", b"\xff\n", b"[]\n"])
def test_a_damaged_log_never_stops_a_run(line: bytes, toy, tmp_path) -> None:
    condense(METHOD, toy(), ipc=1, out=tmp_path, time_budget=1e-9)
    with (tmp_path / "log.jsonl").open("ab") as log:
        log.write(line)
    condense(METHOD, toy(), ipc=1, out=tmp_path, resume=True)
    assert logged_iterations(tmp_path) == [1, 2, 3, 4, 5]


def test_resume_where_the_recorded_device_is_missing_is_refused(toy, tmp_path) -> None:
    condense(METHOD, toy(), ipc=1, out=tmp_path, time_budget=1e-9)
    run = run_json(tmp_path)
    run["execution"]["device"] = "cuda:99"
    (tmp_path / "run.json").write_text(json.dumps(run))
    with pytest.raises(InputError, match=r"--device cuda:99: PyTorch sees \d+ CUDA devices"):
        condense(METHOD, toy(), ipc=1, out=tmp_path, resume=True)


def test_files_of_someone_else_are_not_deleted(toy, tmp_path) -> None:
    (tmp_path / "images.png").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"but no run\.json: name another directory"):
        condense(METHOD, toy(), ipc=1, out=tmp_path, overwrite=True)
    assert (tmp_path / "images.png").read_bytes() == b"mine"


@dataclass(frozen=True, kw_only=True)
class Overflowing(Matching):
    """A finite loss whose gradient takes the images beyond float32 in the first step."""

    def iterate(self, run):
        yield (run.synthetic() * 1e35).mean()

    def workload(self, each):
        return Workload(passes=1, real=1, synthetic=each)


def test_images_that_overflow_in_the_step_are_not_kept(toy, tmp_path) -> None:
    method = Overflowing(iterations=5, lr=1e6, arch="MLP", augment="none")
    with pytest.raises(Diverged, match="iteration 1"):
        condense(method, toy(), ipc=1, out=tmp_path)
    start = condense(replace(method, iterations=0), toy(), ipc=1)
    assert torch.equal(load_set(tmp_path).images, start.images)


def test_when_all_checkpoints_are_damaged_the_run_is_refused(toy, tmp_path) -> None:
    condense(METHOD, toy(), ipc=1, out=tmp_path, time_budget=1e-9)
    flip_byte(tmp_path / "checkpoint.safetensors")
    with pytest.raises(InputError, match=r"is damaged.*no good checkpoint is left: start again with --overwrite"):
        condense(METHOD, toy(), ipc=1, out=tmp_path, resume=True)


def test_a_log_line_cut_short_by_a_crash_is_dropped(toy, tmp_path) -> None:
    condense(METHOD, toy(), ipc=1, out=tmp_path, time_budget=1e-9)
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"iteration": 2, "lo')
    condense(METHOD, toy(), ipc=1, out=tmp_path, resume=True)
    assert logged_iterations(tmp_path) == [1, 2, 3, 4, 5]


def test_a_full_disk_stops_the_run_and_keeps_the_checkpoint(toy, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(progress: RunProgress) -> None:
        if progress.iteration == 3:
            monkeypatch.setattr(os, "fsync", full)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        condense(METHOD, toy(), ipc=1, out=tmp_path, checkpoint_every=0, observers=[Messages(fill)])
    monkeypatch.undo()
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".partial")]
    resumed = condense(METHOD, toy(), ipc=1, out=tmp_path, resume=True)
    assert torch.equal(resumed.images, condense(METHOD, toy(), ipc=1).images)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ipc": 0}, "--ipc 0: must be at least 1"),
        ({"ipc": 1, "resume": True, "overwrite": True}, "exclude each other"),
        ({"ipc": 1, "time_budget": 0.0}, "--time-budget 0: must be above 0"),
    ],
    ids=str,
)
def test_numbers_that_make_no_sense_are_refused(toy, arguments, message: str) -> None:
    with pytest.raises(InputError, match=message):
        condense(METHOD, toy(), **arguments)


def test_observers_see_every_iteration_in_order(toy) -> None:
    seen: list[RunProgress] = []
    started = time.perf_counter()
    condense(METHOD, toy(), ipc=1, observers=[Messages(seen.append)])
    assert [progress.iteration for progress in seen] == [1, 2, 3, 4, 5]
    assert all(a.seconds < b.seconds <= time.perf_counter() - started for a, b in itertools.pairwise(seen))


def test_an_imported_set_is_no_run_to_go_on_with(toy, tmp_path) -> None:
    condense(METHOD, toy(), ipc=1, out=tmp_path)
    recorded = read_json(tmp_path / "run.json")
    write_json(tmp_path / "run.json", {**recorded, "status": "imported"})
    before = (tmp_path / "synthetic.safetensors").read_bytes()
    with pytest.raises(InputError, match="was imported, so there is no run to resume"):
        condense(METHOD, toy(), ipc=1, out=tmp_path, resume=True)
    assert (tmp_path / "synthetic.safetensors").read_bytes() == before


def test_a_finished_run_needs_neither_its_device_nor_its_start_again(toy, tmp_path, monkeypatch) -> None:
    method = replace(METHOD, init="kmeans")
    started: list[int] = []

    def counted(*args) -> Tensor:
        started.append(1)
        return representatives(*args)

    monkeypatch.setattr("datacondense.methods.matching.representatives", counted)
    stop = Messages(lambda progress: signal.raise_signal(signal.SIGINT) if progress.iteration == 2 else None)
    condense(method, toy(), ipc=2, out=tmp_path, observers=[stop])
    whole = condense(method, toy(), ipc=2, out=tmp_path, resume=True)
    assert len(started) == 1  # its images would be replaced by those of the checkpoint
    assert torch.equal(whole.images, condense(method, toy(), ipc=2).images)
    run = run_json(tmp_path)
    write_json(tmp_path / "run.json", {**run, "execution": {**run["execution"], "device": "cuda:7"}})
    again = condense(method, toy(), ipc=2, out=tmp_path, resume=True)
    assert torch.equal(again.images, whole.images)
