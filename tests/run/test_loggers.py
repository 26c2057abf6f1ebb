"""A run in TensorBoard and in Weights & Biases: all that its log has, each step once, and the run is as without."""

import io
import json
import random
import re
import signal
import struct
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import shell
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import IMAGES, SCALARS, EventAccumulator

from datacondense import Diverged, InputError, Observer, RunProgress, TensorBoard, WeightsAndBiases, condense
from datacondense.cli.app import main
from datacondense.methods import DC, DistributionMatching, Random
from datacondense.run.loggers import LIVE
from datacondense.run.loop import Loop

METHOD = DistributionMatching(iterations=6, batch_real=8, lr=0.3, arch="ConvNetD1", augment="none")
PAGE = (Path(__file__).parents[2] / "docs/live.md").read_text()
TOY = "--data digits --ipc 1 --iterations 2 --batch-real 4 --arch ConvNetD1".split()


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)


class StopAt(Observer):
    """Ctrl-C after an iteration; twice, so that the run ends at once and leaves no checkpoint, where it is killed."""

    def __init__(self, iteration: int, *, killed: bool = False) -> None:
        self.iteration, self.times = iteration, 2 if killed else 1

    def progress(self, progress: RunProgress) -> None:
        for _ in range(self.times if progress.iteration == self.iteration else 0):
            signal.raise_signal(signal.SIGINT)

    def message(self, text: str) -> None: ...


class StopInside(StopAt):
    """Ctrl-C after the first update of the iteration after `iteration`."""

    def progress(self, progress: RunProgress) -> None: ...

    def update(self, done: float, iterations: int) -> None:
        if int(done) == self.iteration:
            signal.raise_signal(signal.SIGINT)


def read(run: str | Path) -> EventAccumulator:
    return EventAccumulator(f"{run}/tensorboard", size_guidance={SCALARS: 0, IMAGES: 0}).Reload()


def logged(run: str | Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(run, "log.jsonl").read_text().splitlines()]


def steps(run: str | Path, name: str) -> list[int]:
    events = read(run)
    return [event.step for event in (events.Images(name) if name == "images" else events.Scalars(name))]


def check_against_the_log(run: str | Path) -> None:
    events, log = read(run), logged(run)
    for name in ("loss", "seconds"):
        assert [event.step for event in events.Scalars(name)] == [entry["iteration"] for entry in log]
        values = [entry[name] for entry in log]
        assert [event.value for event in events.Scalars(name)] == pytest.approx(values, abs=1e-4, rel=1e-6)


def test_what_tensorboard_reads_is_what_the_log_has_and_the_picture_of_the_run(toy) -> None:
    with TensorBoard("run") as live:
        condense(METHOD, toy(), 2, out="run", snapshots=3, observers=[live])
    check_against_the_log("run")
    assert len(logged("run")) == 6
    assert steps("run", "iterations per second") == [2, 3, 4, 5, 6]
    assert steps("run", "images") == [0, 2, 4, 6]
    last = Image.open(io.BytesIO(read("run").Images("images")[-1].encoded_image_string))
    with Image.open("run/images.png") as drawn:
        assert np.array_equal(np.asarray(last), np.asarray(drawn.convert("RGB")))


def random_states() -> list[Any]:
    return [torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state())]


def test_the_run_and_all_random_numbers_are_as_without(toy) -> None:
    torch.manual_seed(1)
    before = random_states()
    with TensorBoard("run") as live:
        watched = condense(METHOD, toy(), 2, out="run", checkpoint_every=0, observers=[live])
    assert random_states() == before
    assert torch.equal(watched.images, condense(METHOD, toy(), 2).images)
    assert steps("run", "images") == [0, 1, 2, 3, 4, 5, 6]


def test_a_method_without_iterations_has_one_picture(toy) -> None:
    with TensorBoard("run") as live:
        condense(Random(arch="MLP"), toy(), 2, out="run", observers=[live])
    assert steps("run", "images") == [0]


def test_nothing_is_made_for_observers_that_look_at_no_images(toy, monkeypatch: pytest.MonkeyPatch) -> None:
    made, images = [], Loop._images
    monkeypatch.setattr(Loop, "_images", lambda loop: made.append(1) or images(loop))
    condense(METHOD, toy(), 2, out="run", checkpoint_every=0, observers=[StopAt(7)])
    assert len(made) == 1  # the set that is returned


def session(real: Any, *watching: Any, out: str = "run", method: Any = METHOD, **options: Any) -> None:
    with TensorBoard(out) as live:
        condense(method, real, 2, out=out, resume=True, observers=[live, *watching], **options)


def test_a_run_stopped_and_killed_and_resumed_has_each_step_once(toy) -> None:
    session(toy(), StopAt(2))
    check_against_the_log("run")
    assert steps("run", "images") == [0, 2]
    with pytest.raises(KeyboardInterrupt):
        session(toy(), StopAt(4, killed=True))
    assert steps("run", "loss") == [1, 2, 3, 4]
    session(toy())
    check_against_the_log("run")
    assert len(logged("run")) == 6
    assert steps("run", "images") == [0, 2, 6]


def test_a_run_killed_before_its_first_checkpoint_begins_again(toy) -> None:
    with pytest.raises(KeyboardInterrupt):
        session(toy(), StopAt(3, killed=True))
    session(toy())
    check_against_the_log("run")
    assert steps("run", "images") == [0, 6]


def test_a_run_stopped_inside_an_iteration_shows_its_images_again_as_they_were_before(toy) -> None:
    method = DC(iterations=2, batch_real=8, batch_synthetic=2, updates=3, epochs=1, lr=5, arch="MLP", augment="none")
    session(toy(), StopInside(1), method=method)
    moved = read("run").Images("images")[-1]
    session(toy(), method=method)
    assert steps("run", "images") == [0, 1, 2]
    assert moved.step == 1
    assert read("run").Images("images")[1].encoded_image_string != moved.encoded_image_string
    check_against_the_log("run")


def test_what_earlier_sessions_did_not_show_is_taken_from_the_log(toy) -> None:
    condense(METHOD, toy(), 2, out="run", observers=[StopAt(3)])
    session(toy())
    check_against_the_log("run")
    assert steps("run", "iterations per second") == [2, 3, 5, 6]
    assert steps("run", "images") == [3, 6]


def test_all_is_written_when_a_run_diverges(toy) -> None:
    method = replace(METHOD, iterations=200, lr=1e6, arch="ConvNetNN")
    with pytest.raises(Diverged):
        session(toy(side=16), method=method)
    check_against_the_log("run")
    assert steps("run", "images")[-1] == len(logged("run"))


def test_overwrite_deletes_the_files_of_the_old_run_and_nothing_else(toy) -> None:
    session(toy())
    Path("run/tensorboard/notes.txt").write_text("mine")
    Path("run/wandb.json").write_text('{"id": "old"}')
    condense(METHOD, toy(), 2, out="run", overwrite=True)
    assert [path.name for path in Path("run/tensorboard").iterdir()] == ["notes.txt"]
    assert not Path("run/wandb.json").exists()
    Path("run/tensorboard/notes.txt").unlink()
    with TensorBoard("run") as live:
        condense(replace(METHOD, iterations=2), toy(), 2, out="run", overwrite=True, observers=[live])
    check_against_the_log("run")
    condense(METHOD, toy(), 2, out="run", overwrite=True)
    assert not Path("run/tensorboard").exists()


@pytest.mark.parametrize(("name", "module"), [("tensorboard", "tensorboard"), ("wandb", "wandb")])
def test_a_library_that_is_missing_is_named(name: str, module: str, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    for loaded in [one for one in sys.modules if one.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, loaded)
    assert main(["condense", "dm", *TOY, "--log", name]) == 2
    error = f"datacondense: error: --log {name}: not installed: pip install 'datacondense[{name}]'\n"
    assert capsys.readouterr().err == error
    assert not Path("runs").exists()


def test_the_commands_of_the_page(capsys) -> None:
    blocks = re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    commands = [line for block in blocks for line in shell.commands(block) if line.startswith("datacondense ")]
    tried = [command for command in commands if "wandb" not in command]
    assert len(tried) == 2
    for command in tried:
        _, *words = command.replace("cifar10", "digits").replace("--ipc 10", "--ipc 1").split()
        assert main([*words, *"--iterations 2 --batch-real 4 --arch ConvNetD1".split()]) == 0
    assert "is complete: there is nothing to resume" in capsys.readouterr().out
    check_against_the_log("runs/dm")
    assert [name for name in LIVE if f"--log {name}" not in PAGE] == []


class WandbError(Exception): ...


class Wandb:
    """What we use of the library, with a server that has `step` steps of the run."""

    Error = WandbError

    def __init__(self, *, mode: str = "online", step: int = 0) -> None:
        self.settings = SimpleNamespace(mode=mode)
        self.step = step
        self.logins = 0
        self.asked: dict[str, Any] = {}
        self.rows: list[tuple[int, dict[str, Any]]] = []
        self.exit_codes: list[int] = []

    def setup(self) -> "Wandb":
        return self

    def login(self) -> None:
        self.logins += 1

    def Settings(self, **settings: Any) -> Any:
        return settings

    def Image(self, picture: Image.Image) -> Image.Image:
        return picture

    def init(self, **asked: Any) -> "Wandb":
        self.asked = asked
        return self

    def log(self, values: dict[str, Any], *, step: int) -> None:
        self.rows.append((step, values))

    def finish(self, *, exit_code: int) -> None:
        self.exit_codes.append(exit_code)

    def steps(self, name: str) -> list[int]:
        return [step for step, values in self.rows if name in values]


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch):
    def library(**options: Any) -> Wandb:
        wandb = Wandb(**options)
        monkeypatch.setitem(sys.modules, "wandb", wandb)
        return wandb

    return library


def in_wandb(real: Any, *watching: Any, **options: Any) -> None:
    options.setdefault("seed", 3)
    with WeightsAndBiases("runs/a") as live:
        live.check()
        condense(METHOD, real, 2, out="runs/a", resume=True, observers=[live, *watching], **options)


def test_wandb_is_given_the_settings_and_goes_on_in_the_same_run(toy, pretend, monkeypatch) -> None:
    first = pretend()
    in_wandb(toy(), StopAt(2))
    config = {**METHOD.settings(), "method": "dm", "data": "toy", "ipc": 2, "seed": 3}
    assert first.asked["config"] == config
    assert [first.asked[key] for key in ("project", "name", "resume")] == ["datacondense", "a", "allow"]
    assert (first.logins, first.exit_codes) == (1, [0])
    assert [(step, values["loss"]) for step, values in first.rows if "loss" in values] == [
        (entry["iteration"], entry["loss"]) for entry in logged("runs/a")
    ]
    assert first.steps("images") == [0, 2]
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    ahead = pretend(step=5)  # the server has what a kill has lost
    with pytest.raises(KeyboardInterrupt):
        in_wandb(toy(), StopAt(5, killed=True))
    assert ahead.asked["id"] == first.asked["id"]
    assert ahead.asked["project"] == "mine"
    assert (ahead.steps("loss"), ahead.steps("images"), ahead.exit_codes) == ([5], [], [1])
    behind = pretend(step=2)  # it lacks some of what the log has
    in_wandb(toy())
    assert (behind.steps("loss"), behind.steps("images")) == ([2, 3, 4, 5, 6], [2, 6])


def test_wandb_offline_goes_on_after_the_checkpoint_and_takes_what_it_lacks_from_the_log(toy, pretend) -> None:
    condense(METHOD, toy(), 2, out="runs/a", seed=3, observers=[StopAt(2)])
    first = pretend(mode="offline")
    in_wandb(toy(), StopAt(4))
    assert (first.logins, first.steps("loss"), first.steps("images")) == (0, [1, 2, 3, 4], [2, 4])
    second = pretend(mode="offline")
    in_wandb(toy())
    assert (second.steps("loss"), second.steps("images")) == ([5, 6], [6])


def test_what_wandb_cannot_do_is_one_line(toy, pretend, monkeypatch, capsys) -> None:
    def refuse() -> None:
        raise WandbError("no key\nis known")

    wandb = pretend()
    monkeypatch.setattr(wandb, "login", refuse)
    assert main(["condense", "dm", *TOY, "--log", "wandb", "--out", "run"]) == 2
    assert "error: --log wandb: no key is known; set WANDB_MODE=offline" in capsys.readouterr().err
    assert not Path("run").exists()
    pretend()
    in_wandb(toy(), StopAt(2))
    Path("runs/a/wandb.json").write_text("[]")
    with pytest.raises(InputError, match=r"wandb\.json is damaged: delete it"):
        in_wandb(toy())


def records(path: Path) -> list[bytes]:
    """What is in a file of the library: blocks of 32 KiB of parts of records, as LevelDB's log has them."""
    data, place, found = path.read_bytes(), 7, [b""]
    while len(data) - place >= 7:
        left = 2**15 - place % 2**15
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, place)
        found[-1] += data[place + 7 : place + 7 + length]
        found += [b""] if kind in (1, 4) else []  # whole, or the last part
        place += 7 + length
    return found[:-1]


@pytest.mark.filterwarnings("default")
def test_wandb_itself_takes_a_run_offline(toy, monkeypatch) -> None:
    wandb = pytest.importorskip("wandb")
    wandb_internal_pb2 = import_module("wandb.proto.wandb_internal_pb2")
    monkeypatch.setenv("WANDB_MODE", "offline")
    in_wandb(toy(), StopAt(2))
    in_wandb(toy())
    found: dict[str, list[int]] = {"loss": [], "images": []}
    files = sorted(Path("wandb").glob("offline-run-*/*.wandb"), key=lambda path: path.stat().st_mtime)
    assert {path.stem for path in files} == {f"run-{json.loads(Path('runs/a/wandb.json').read_text())['id']}"}
    for data in [data for path in files for data in records(path)]:
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        row = {item.key or item.nested_key[0]: item.value_json for item in record.history.item}
        for name in found:
            found[name] += [int(row["_step"])] if name in row else []
    assert found == {"loss": [1, 2, 3, 4, 5, 6], "images": [0, 2, 6]}
    wandb.teardown()  # it has read its variables by now
    monkeypatch.setenv("WANDB_MODE", "disabled")
    condense(METHOD, toy(), 2, out="runs/a", overwrite=True, observers=[StopAt(2)])
    in_wandb(toy(), seed=0)
    assert not Path("runs/a/wandb.json").exists()
