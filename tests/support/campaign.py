"""Run as a script: kills runs and sets processes on one another, and says what was lost. Prints a JSON object.

python campaign.py kills SEED RANDOM|METHOD... FOLDER, python campaign.py pairs SEED NUMBER FOLDER

Each run is a process of its own, forked off this one, which has loaded all libraries.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # a process that has threads cannot be forked safely

import torch

from datacondense import DatacondenseError, condense, export, import_sets, load, load_set
from datacondense.cli.app import main as command
from datacondense.evaluation.score_log import is_score_of, saved_scores
from datacondense.formats import FORMATS, Format
from datacondense.methods import DC, DSA, DistributionMatching, Herding, ItGan, KCenter, Method, Random
from datacondense.utils.files import read_tensors

METHODS: dict[str, Method] = {
    "random": Random(),
    "herding": Herding(arch="MLP", epochs=2),
    "k-center": KCenter(arch="MLP", epochs=2),
    "dm": DistributionMatching(iterations=4, batch_real=16, arch="ConvNetD1", lr=1.0),
    "dc": DC(iterations=2, batch_real=8, updates=2, epochs=1, arch="ConvNetD1"),
    "dsa": DSA(iterations=2, batch_real=8, updates=2, epochs=1, arch="ConvNetD1"),
    "it-gan": ItGan(
        iterations=3, arch="MLP", generator_steps=4, width=8, latent=4, inversion_steps=2, epochs=1, networks=2,
        network_steps=2, batch_real=8, batch_latents=2,
    ),
}  # fmt: skip
_WALL = ("wall_seconds", "seconds")
_REAL, _TEST = load("digits")


def run(name: str, out: Path, *, seed: int = 0, **options: Any) -> None:
    """Condense as every run here does."""
    how: dict[str, Any] = {"compile": "off", "checkpoint_every": 0, "snapshots": 2}
    condense(METHODS[name], _REAL, 1, seed=seed, out=out, source={"source": "digits"}, **how, **options)


def forked(work: Callable[[], object], answer: Path, cache: Path) -> int:
    """A process that does `work`, and writes to `answer` what came of it: nothing where it was killed."""
    process = os.fork()
    if process:
        return process
    os.environ["DATACONDENSE_CACHE"] = str(cache)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(os.open(f"{answer}.err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    try:
        code = work()
        answer.write_text("ok" if not code else f"exit {code}")
    except DatacondenseError as error:
        answer.write_text(f"{type(error).__name__}: {error}")
    except BaseException as error:  # a traceback is a finding, whatever it is of
        answer.write_text(f"traceback {type(error).__name__}: {error}")
    os._exit(0)


def killed_before_rename(number: int, work: Callable[[], object]) -> Callable[[], object]:
    """`work` in a process that is killed before so many of its renames and links, counted from 0."""

    def counted() -> object:
        left = number

        def before(do: Callable[..., object]) -> Callable[..., object]:
            def moved(*args: Any, **options: Any) -> object:
                nonlocal left
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1
                return do(*args, **options)

            return moved

        os.replace, os.rename, os.link = before(os.replace), before(os.rename), before(os.link)
        return work()

    return counted


def content(place: Path) -> dict[str, Any]:
    """All that a run directory holds, but wall times: what must not depend on whether it was killed."""
    found: dict[str, Any] = {}
    for path in sorted(place.rglob("*")):
        name = path.relative_to(place).as_posix()
        if path.suffix == ".safetensors" and not path.name.startswith("."):
            tensors, header = read_tensors(path)
            header = {key: value for key, value in header.items() if key not in _WALL}
            if "provenance" in header:
                header["provenance"] = _timeless(header["provenance"])
            found[name] = {key: tensor.tolist() for key, tensor in tensors.items()}, header
        elif path.name == "run.json":
            found[name] = _timeless(json.loads(path.read_text()))
        elif path.name == "log.jsonl":
            found[name] = [_timeless(json.loads(line)) for line in path.read_text().splitlines()]
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


def _timeless(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key not in _WALL}


def difference(place: Path, whole: dict[str, Any]) -> str:
    """What tells a run directory from that of an undisturbed run; empty where nothing does."""
    here = content(place)
    names = [name for name in {**here, **whole} if here.get(name) != whole.get(name)]
    # Which of two checkpoints is the one before depends on where the last session began.
    return ", ".join(name for name in names if name != "checkpoint.previous.safetensors")


class Kills:
    """Kills runs of one method and resumes them."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder, self.kills = name, folder, 0
        self.failures: list[str] = []
        began = time.perf_counter()
        os.waitpid(forked(lambda: run(name, folder / "whole"), folder / "answer", folder / "cache-whole"), 0)
        assert (folder / "answer").read_text() == "ok", (folder / "answer").read_text()
        self.seconds = time.perf_counter() - began
        self.whole = content(folder / "whole")

    def at_each_rename(self) -> None:
        """Kill a run before its first rename, another before its second, until one ends first."""
        for number in range(1000):
            if not self.case(f"before rename {number}", killed_before_rename(number, self._begin), None):
                return

    def at(self, seconds: float) -> None:
        """Kill a run after so many seconds."""
        self.case(f"after {seconds:.3f} s", self._begin, seconds)

    def case(self, moment: str, work: Callable[[], object], seconds: float | None) -> bool:
        """Kill one run and resume it. Returns whether it was killed before it had ended."""
        out, cache, answer = (self.folder / part for part in ("out", "cache", "answer"))
        for place in (out, cache):
            shutil.rmtree(place, ignore_errors=True)
        process = forked(work, answer, cache)
        if seconds is not None:
            time.sleep(seconds)
            os.kill(process, signal.SIGKILL)
        killed = os.WIFSIGNALED(os.waitpid(process, 0)[1])
        self.kills += killed
        process = forked(lambda: run(self.name, out, resume=True), answer, cache)
        os.waitpid(process, 0)
        said = answer.read_text()
        wrong = said if said != "ok" else difference(out, self.whole)
        left = [path.name for path in cache.rglob(".*")]
        if wrong or left:
            self.failures.append(f"{self.name} {moment}: {wrong} {left}")
            print(self.failures[-1], file=sys.stderr)
        return killed

    def _begin(self) -> None:
        run(self.name, self.folder / "out")


def kills(seed: int, names: list[str], at_random: int, folder: Path) -> dict[str, Any]:
    """Kill runs of each method before each rename, and `at_random` of them at random moments."""
    draw, total, failures = random.Random(seed), {}, []
    for name in names:
        (folder / name).mkdir(parents=True)
        one = Kills(name, folder / name)
        one.at_each_rename()
        for _ in range(at_random):
            one.at(draw.uniform(0, one.seconds))
        total[name] = one.kills
        print(f"{name}: {one.kills} kills, {len(one.failures)} failures", file=sys.stderr)
        failures += one.failures
    return {"kills": total, "failures": failures}


class Pairs:
    """Sets two processes on one place."""

    def __init__(self, folder: Path, draw: random.Random) -> None:
        self.folder, self.draw = folder, draw
        self.whole = []
        for seed in (0, 1):
            place = folder / f"seed{seed}"
            self.together([lambda place=place, seed=seed: run("dm", place, seed=seed)])
            self.whole.append(content(place))
        killed = killed_before_rename(12, lambda: run("dm", folder / "stopped"))
        os.waitpid(forked(killed, folder / "answer", folder / "cache"), 0)

    def together(self, works: Sequence[Callable[[], object]]) -> list[str]:
        """What came of each of several processes, begun at nearly the same time."""
        answers = [self.folder / f"answer{number}" for number in range(len(works))]
        running = []
        for work, answer in zip(works, answers, strict=True):
            answer.unlink(missing_ok=True)
            running.append(forked(work, answer, self.folder / "cache"))
            time.sleep(self.draw.uniform(0, 0.3))
        for process in running:
            os.waitpid(process, 0)
        return [answer.read_text() for answer in answers]

    def of(self, out: Path) -> int | None:
        """The seed of the undisturbed run that a run directory equals."""
        return next((seed for seed in (0, 1) if not difference(out, self.whole[seed])), None)

    def fresh(self, out: Path) -> str:
        said = self.together([lambda seed=seed: run("dm", out, seed=seed) for seed in (0, 1)])
        good = [seed for seed in (0, 1) if said[seed] == "ok"]
        return "" if len(good) == 1 and self.of(out) == good[0] and _refused(said) else f"{said}, {self.of(out)}"

    def resumed(self, out: Path) -> str:
        shutil.copytree(self.folder / "stopped", out)
        said = self.together([lambda: run("dm", out, resume=True)] * 2)
        return "" if "ok" in said and self.of(out) == 0 and _refused(said) else f"{said}, {self.of(out)}"

    def overwritten(self, out: Path) -> str:
        said = self.together([lambda: run("dm", out), lambda: run("dm", out, seed=1, overwrite=True)])
        good = [seed for seed in (0, 1) if said[seed] == "ok"]
        return "" if self.of(out) in good and _refused(said) else f"{said}, {self.of(out)}"

    def evaluated(self, out: Path) -> str:
        shutil.copytree(self.folder / "seed0", out)
        scores = out.with_suffix(".json")
        words = ["evaluate", str(out), "--nets", "1", "--epochs", "2", "--compile", "off", "--out", str(scores)]
        said = self.together([lambda: command(words), lambda: run("dm", out, seed=1, overwrite=True)])
        errors = (self.folder / "answer0.err").read_text().splitlines()
        now, kept = load_set(out), saved_scores(out)
        honest = said[0] == "ok" or (said[0] == "exit 2" and len([line for line in errors if "error:" in line]) == 1)
        mixed = any(not is_score_of(score, now) for score in kept)
        lost = said[0] == "ok" and not scores.exists()
        good = honest and not mixed and not lost and (said[1] == "ok" or _refused(said[1:]))
        return "" if good else f"{said}, mixed {mixed}, lost {lost}, {errors}"

    def exported(self, out: Path) -> str:
        to: Format = self.draw.choice(list(FORMATS))
        sets = [load_set(self.folder / f"seed{seed}") for seed in (0, 1)]
        overwrite = bool(self.draw.getrandbits(1))
        said = self.together([partial(export, one, to, out, overwrite=overwrite) for one in sets])
        (back,) = import_sets(out, sets[0].spec, out.with_name(f"{out.name}-back"))
        now = load_set(back)
        good = [one for one, text in zip(sets, said, strict=True) if text == "ok"]
        alike = any(torch.equal(now.spec.pixels(now.images), one.spec.pixels(one.images)) for one in good)
        fine = alike and (overwrite or len(good) == 1) and _refused(said)
        return "" if fine else f"{to}, overwrite {overwrite}: {said}"

    def imported(self, out: Path) -> str:
        sets = [load_set(self.folder / f"seed{seed}") for seed in (0, 1)]
        files = [out.with_name(f"{out.name}-{seed}.npz") for seed in (0, 1)]
        for one, file in zip(sets, files, strict=True):
            export(one, "npz", file)
        overwrite = bool(self.draw.getrandbits(1))
        said = self.together(
            [lambda file=file: import_sets(file, None, out, overwrite=overwrite) and None for file in files]
        )
        now = load_set(out).images
        good = [one.images for one, text in zip(sets, said, strict=True) if text == "ok"]
        fine = any(torch.equal(now, images) for images in good) and (overwrite or len(good) == 1) and _refused(said)
        return "" if fine else f"overwrite {overwrite}: {said}"


def _refused(said: list[str]) -> bool:
    """Whether who was not successful was told so in one line."""
    return all(text == "ok" or text.startswith(("Locked: ", "InputError: ")) for text in said)


def pairs(seed: int, number: int, folder: Path) -> dict[str, Any]:
    """Let so many pairs of processes meet."""
    draw = random.Random(seed)
    (folder / "pairs").mkdir(parents=True)
    both, failures = Pairs(folder / "pairs", draw), []
    kinds = [both.fresh, both.resumed, both.overwritten, both.evaluated, both.exported, both.imported]
    for index in range(number):
        kind = kinds[index % len(kinds)]
        wrong = kind(folder / "pairs" / f"out{index}")
        hidden = [path.name for path in (folder / "pairs").rglob(".*") if path.parent.name != "stopped"]
        if wrong or hidden:
            failures.append(f"{kind.__name__} {index}: {wrong} {hidden}")
            print(failures[-1], file=sys.stderr)
    return {"pairs": number, "failures": failures}


def main() -> None:
    what, seed, *names, number, folder = sys.argv[1:]
    made = (
        kills(int(seed), names, int(number), Path(folder))
        if what == "kills"
        else pairs(int(seed), int(number), Path(folder))
    )
    print(json.dumps(made))


if __name__ == "__main__":
    main()
