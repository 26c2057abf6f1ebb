"""Ctrl-C and the time budget before the first iteration, while code is compiled, and in commands."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from datacondense import Diverged, Observer, RunProgress, Stopped, condense, load_set
from datacondense.cli.app import main
from datacondense.methods import DistributionMatching, Herding, ItGan, KCenter, Method
from datacondense.pictures import NEIGHBOURS_FILE
from datacondense.run.directory import RUN
from datacondense.synthetic.generated import Generated
from datacondense.utils import cache
from datacondense.utils.files import read_tensors

IT_GAN = ItGan(
    iterations=2, arch="MLP", generator_steps=6, width=8, latent=4, inversion_steps=2, epochs=2, networks=3,
    network_steps=2, batch_real=8, batch_latents=2,
)  # fmt: skip
PREPARING: dict[str, Method] = {
    "k-means of the real images": DistributionMatching(iterations=2, batch_real=8, arch="ConvNetD1", init="kmeans"),
    "MLP learns the 120 real images": Herding(arch="MLP", epochs=3),
    "embedding the real images": KCenter(arch="MLP", epochs=1),
    "training a network on real images": DistributionMatching(
        iterations=2, batch_real=8, arch="ConvNetD1", networks="trained", training_steps=4
    ),
    "training a generator (decoder)": IT_GAN,
    "inverting 3 real images": IT_GAN,
    "training 3 networks for a while": IT_GAN,
}


class Told(Observer):
    """Does something at the first news of some work before the first iteration."""

    def __init__(self, what: str, do) -> None:
        self.what, self.do, self.texts = what, do, []

    def preparing(self, done: float, what: str) -> None:
        if what == self.what and self.do:
            do, self.do = self.do, None
            do()

    def progress(self, progress: RunProgress) -> None: ...

    def message(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have left it ignored
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("what", PREPARING)
def test_a_signal_before_the_first_iteration_leaves_no_run_and_the_next_one_goes_on(
    what: str, number: int, toy, tmp_path
) -> None:
    run, method = tmp_path / "run", PREPARING[what]
    told = Told(what, lambda: signal.raise_signal(number))
    with pytest.raises(Stopped) as stopped:
        condense(method, toy(), 1, out=run, observers=[told])
    assert stopped.value.signal == number
    assert f"stopped by {signal.Signals(number).name} before the first iteration ({what})" in str(stopped.value)
    assert not run.exists()
    left = condense(method, toy(), 1, out=run, resume=True)
    assert torch.equal(left.images, condense(method, toy(), 1).images)


def test_a_signal_before_the_first_iteration_leaves_the_run_that_was_there(toy, tmp_path) -> None:
    what = "k-means of the real images"
    condense(PREPARING[what], toy(), 1, out=tmp_path, seed=1)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    told = Told(what, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(Stopped):
        condense(PREPARING[what], toy(), 1, out=tmp_path, overwrite=True, observers=[told])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_epochs_that_are_done_are_kept_where_the_next_is_cut_short(toy, tmp_path) -> None:
    news: list[float] = []

    class Second(Told):
        def preparing(self, done: float, what: str) -> None:
            news.append(done)
            if len(news) == 3:  # the beginning, and in toy's one batch one piece of news of each epoch: the second's
                signal.raise_signal(signal.SIGINT)

    method = Herding(arch="MLP", epochs=3)
    with pytest.raises(Stopped):
        condense(method, toy(), 1, out=tmp_path / "run", observers=[Second("", None)])
    assert len(list((cache.folder() / "networks").glob("*.safetensors"))) == 1
    news.clear()
    condense(method, toy(), 1, out=tmp_path / "run", observers=[Counted(news)])
    assert min(news) > 0.4  # the first epoch was not trained again


class Counted(Told):
    """Remembers which part of the training is done."""

    def __init__(self, news: list[float]) -> None:
        super().__init__("", None)
        self.news = news

    def preparing(self, done: float, what: str) -> None:
        if "learns" in what:
            self.news.append(done)


def test_a_budget_counts_preparation(toy, tmp_path) -> None:
    endless = Herding(arch="MLP", epochs=1_000_000)
    with pytest.raises(Stopped, match="stopped by the time budget before the first iteration") as stopped:
        condense(endless, toy(), 1, out=tmp_path / "run", compile="off", time_budget=0.3)
    assert stopped.value.signal is None
    assert not (tmp_path / "run").exists()


def test_a_second_signal_before_the_first_iteration_stops_at_once(toy, tmp_path) -> None:
    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    told = Told("MLP learns the 120 real images", twice)
    with pytest.raises(KeyboardInterrupt):
        condense(Herding(arch="MLP"), toy(), 1, out=tmp_path / "run", observers=[told])
    assert not (tmp_path / "run").exists()


def test_exit_codes(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = (
        "condense herding --data digits --ipc 1 --arch MLP --epochs 1000000 --out run --time-budget 0.5s --compile off"
    )
    assert main(words.split()) == 0
    said = capsys.readouterr().err
    assert said.startswith("datacondense: stopped by the time budget before the first iteration")
    assert len(said.splitlines()) == 1
    assert not Path("run").exists()


@pytest.mark.parametrize(
    "files", [["images.png"], ["neighbours.safetensors"], ["images.png", "neighbours.safetensors"]]
)
def test_what_a_complete_run_lacks_is_made_when_it_is_resumed(files: list[str], toy, tmp_path) -> None:
    method = DistributionMatching(iterations=2, batch_real=8, arch="ConvNetD1")
    condense(method, toy(), 1, out=tmp_path)
    picture, (tensors, header) = (tmp_path / "images.png").read_bytes(), read_tensors(tmp_path / NEIGHBOURS_FILE)
    for name in files:
        (tmp_path / name).unlink()
    condense(method, toy(), 1, out=tmp_path, resume=True)
    assert (tmp_path / "images.png").read_bytes() == picture
    again, header_again = read_tensors(tmp_path / NEIGHBOURS_FILE)
    assert header_again == header
    assert {name: tensor.tolist() for name, tensor in again.items()} == {n: t.tolist() for n, t in tensors.items()}


def test_a_run_is_complete_only_when_its_pictures_are_there(toy, tmp_path, monkeypatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("datacondense.pictures.save_grid", killed)
    method = DistributionMatching(iterations=2, batch_real=8, arch="ConvNetD1")
    with pytest.raises(KeyboardInterrupt):
        condense(method, toy(), 1, out=tmp_path)
    assert '"status": "running"' in (tmp_path / RUN).read_text()
    monkeypatch.undo()


@pytest.mark.slow
@pytest.mark.parametrize("command", ["condense dm --ipc 1 --iterations 100000", "condense herding --ipc 1 --epochs 50"])
def test_ctrl_c_at_the_terminal_while_code_is_compiled(command: str, tmp_path) -> None:
    """The terminal sends it to the compiler as well."""
    words = f"{command} --data digits --arch ConvNetD1 --compile on --out run"
    environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "inductor")}
    process = subprocess.Popen(
        [sys.executable, "-m", "datacondense", *words.split()],
        cwd=tmp_path, env=environment, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not any(tmp_path.glob("inductor/**/*.cpp")) and process.poll() is None:
        time.sleep(0.05)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)
    output, error = process.communicate(timeout=300)
    assert process.returncode == 130, (output, error)
    assert "Traceback" not in output + error
    assert len([line for line in error.splitlines() if not line.startswith("datacondense: note:")]) == 1, error
    if (tmp_path / "run").exists():
        assert len(load_set(tmp_path / "run")) == 10


@pytest.mark.parametrize("lr", [1e5, 1e6])
def test_latents_beyond_what_is_stored_stop_the_run_with_the_last_good_set(lr: float, toy, tmp_path) -> None:
    with pytest.raises(Diverged, match=r"at iteration \d+ .*--lr 10{5,6}\.0; use a smaller one"):
        condense(replace(IT_GAN, iterations=20, lr=lr), toy(), 1, out=tmp_path)
    stored = load_set(tmp_path)
    assert torch.isfinite(stored.images).all()
    assert isinstance(stored.stored, Generated)
    assert stored.stored.z.abs().max() <= 65504
    assert '"status": "diverged"' in (tmp_path / RUN).read_text()
