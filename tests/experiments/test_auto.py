"""The choice of auto: by its table, by a race, by bytes; recorded, and resumed bit for bit."""

import json
import signal
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

import datacondense as dc
from datacondense import Candidate, Diverged, InputError, Observer, RunProgress, Stopped, auto
from datacondense.data.splits import split_held_out
from datacondense.engine.execution import Compile
from datacondense.experiments import auto_checks
from datacondense.experiments.auto_checks import checked
from datacondense.experiments.auto_choice import final_seconds, settle_compilation
from datacondense.experiments.auto_record import Pace, Round, Trial
from datacondense.experiments.auto_table import TABLE, Entrant, entrants, kind_of
from datacondense.experiments.auto_training import trial_training
from datacondense.experiments.automatic import preview
from datacondense.experiments.options import AutoOptions
from datacondense.experiments.race import Race
from datacondense.experiments.trials import Trials
from datacondense.experiments.trials import measure as measure_speed
from datacondense.methods import DistributionMatching, Iteration, Matching, Random
from datacondense.report.footprint import measure
from datacondense.synthetic.provenance import Auto
from datacondense.utils.schema import check

GOOD = DistributionMatching(iterations=3, batch_real=8, arch="ConvNetD1", augment="none", lr=0.5, init="kmeans")
BAD = replace(GOOD, init="noise", lr=1e-3)
RACE = (
    Candidate(name="bad", method=BAD, reason="noise that hardly moves"),
    Candidate(name="good", method=GOOD, reason="the centres of k-means"),
)
LONG = {"time_budget": 100.0, "race_epochs": 20, "race_nets": 1, "compile": "off"}  # all candidates run in full
pytestmark = pytest.mark.filterwarnings("ignore:a batch of 8 images per class:UserWarning")


class Heard(Observer):
    """Keeps messages, and raises a signal at the first that begins with `at`, or after the iteration `at`."""

    def __init__(self, at: str | int | None = None) -> None:
        self.texts: list[str] = []
        self.at = at

    def message(self, text: str) -> None:
        self.texts.append(text)
        if isinstance(self.at, str) and text.startswith(self.at):
            self.at = None
            signal.raise_signal(signal.SIGINT)

    def progress(self, progress: RunProgress) -> None:
        if progress.iteration == self.at:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def interruptible():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have left it ignored
    yield
    signal.signal(signal.SIGINT, before)


def test_the_table_has_candidates_for_every_problem(toy) -> None:
    for side in (8, 28, 32, 64):
        for channels in (1, 3):
            spec = replace(toy().spec, shape=(channels, side, side))
            for ipc in (1, 10, 50, 1000):
                assert len(kind_of(spec, ipc).candidates) >= 2
    for kind in TABLE:
        assert len({one.name for one in kind.candidates}) == len(kind.candidates)
        for one in kind.candidates:
            one.method.check()
            assert "\n" not in one.reason


def test_the_kind_of_problem_decides_and_rates_follow_the_images(toy) -> None:
    real = toy(side=28)
    one, many = (kind_of(real.spec, ipc) for ipc in (1, 50))
    assert (one.candidates[0].name, many.candidates[0].name) == ("eighths", "pixels")
    large = toy(side=64)
    found = entrants(kind_of(large.spec, 10).candidates, large, 10, bytes=None, arch=None)
    assert {one.method.arch for one in found} == {"ConvNetD4"}
    quarters, whole, _ = entrants(kind_of(real.spec, 10).candidates, real, 10, bytes=None, arch=None)
    assert [one.method.settings()["coefficients"] for one in (whole, quarters)] == [None, 28 * 28 // 4]
    assert (quarters.method.views(real.spec), quarters.method.settings()["form"]) == (4, "dct")
    pixels, means = entrants(many.candidates, real, 50, bytes=None, arch="MLP")
    assert (pixels.method.settings()["lr"], pixels.method.arch) == (0.05, "MLP")
    assert (means.method.settings()["lr"], means.method.arch) == (50.0, "MLP")
    thousands = entrants(many.candidates, real, 2000, bytes=None, arch="MLP")
    assert [entrant.name for entrant in thousands] == ["means"]  # which solves no system of 6000 equations


def test_a_race_chooses_the_better_candidate_and_condenses_everything(toy, monkeypatch) -> None:
    real, heard, seen = toy(), Heard(), set()
    make = Trials.make

    def watched(self: Trials, *arguments) -> None:
        seen.add((self.part.fingerprint(), self.held.fingerprint()))
        make(self, *arguments)

    monkeypatch.setattr(Trials, "make", watched)
    made = auto(real, 2, candidates=RACE, observers=[heard], **LONG)
    again = dc.condense(GOOD, real, 2, compile="off")
    assert torch.equal(made.images, again.images)  # of all training images, by the plain method
    assert seen == {tuple(one.fingerprint() for one in split_held_out(real, 0.15))}  # training images, nothing else
    choice = check(made.provenance.auto, Auto)
    scores = {one.name: one.score or 0 for one in choice.candidates}
    assert choice.chosen == "good"
    assert scores["good"] > scores["bad"] + 0.1
    assert choice.held_out == 18
    assert (made.seconds or 0) > choice.seconds > 0
    told = "\n".join(heard.texts)
    for start in (
        "candidate good, 2 per class: the centres",
        "race: 102 training",
        "race, round 1: bad: ",
        "chosen: good",
    ):
        assert sum(text.startswith(start) for text in heard.texts) == 1, told


@pytest.mark.parametrize("at", ["race, round 1: bad: ", 1])
def test_an_interrupted_call_continues_bit_for_bit(at: str | int, toy, tmp_path) -> None:
    real, run = toy(), tmp_path / "run"
    heard, options = Heard(at), {"candidates": RACE, "out": run, **LONG}
    if at == 1:
        assert auto(real, 1, observers=[heard], **options).provenance.iterations_done == 1
    else:
        with pytest.raises(Stopped, match="the same command with --resume continues it") as error:
            auto(real, 1, observers=[heard], **options)
        assert error.value.signal == signal.SIGINT
        assert [path.name for path in run.iterdir() if not path.name.startswith(".")] == ["auto.json"]
    with pytest.raises(InputError, match="holds another run: continue it with --resume"):
        auto(real, 1, **options)
    with pytest.raises(InputError, match=r"cannot resume .* seed was 0 and is 1"):
        auto(real, 1, seed=1, resume=True, **options)
    later = Heard()
    made = auto(real, 1, observers=[later], resume=True, **options)
    assert torch.equal(made.images, dc.condense(GOOD, real, 1, compile="off").images)
    assert not any(text.startswith("race, round 1: bad") for text in later.texts)  # it was done before
    assert any(text.startswith("race, round 1: good") for text in later.texts) == (at != 1)
    assert json.loads((run / "run.json").read_text())["auto"] == made.provenance.auto
    assert dc.load_set(run).provenance.auto["chosen"] == "good"
    dc.condense(Random(arch="ConvNetD1"), real, 1, out=run, overwrite=True)
    assert not (run / "auto.json").exists()


def test_a_candidate_that_diverges_is_dropped_in_the_race_and_replaced_after_it(toy) -> None:
    real, heard = toy(), Heard()
    wild = Candidate(name="wild", method=replace(GOOD, lr=1e6, store="f16"), reason="its pixels do not fit float16")
    made = auto(real, 1, candidates=[wild, *RACE], observers=[heard], **LONG)
    assert made.provenance.auto["chosen"] == "good"
    assert any(text.startswith("race, round 1: wild: dropped: ") for text in heard.texts)
    few = toy(sizes=(3, 9, 9))
    heard.texts.clear()
    made = auto(few, 1, candidates=[wild, RACE[1]], observers=[heard], **LONG)
    assert made.provenance.auto["chosen"] == "good"
    assert any(text.startswith("no race: a class has fewer than 4 training images") for text in heard.texts)
    assert any(text.startswith("wild failed, and good takes its place") for text in heard.texts)
    with pytest.raises(Diverged):
        auto(few, 1, candidates=[wild], **LONG)


@dataclass(frozen=True, kw_only=True)
class Hungry(Matching):
    """Matches means of images, and needs more memory than there is on all training images, but not on a part."""

    iterations: int = 2
    always: bool = False

    def iterate(self, run: Iteration) -> Generator[torch.Tensor]:
        if self.always or (len(run.problem.real) >= 120 and not run.problem.rehearsal):
            raise MemoryError("std::bad_alloc")
        real = run.problem.real.sample(4, run.streams("real"))
        yield (real.mean(1) - run.synthetic().mean(1)).square().sum()


HUNGRY = Candidate(name="hungry", method=Hungry(arch="ConvNetD1", augment="none", lr=0.1), reason="eats")


def test_a_candidate_whose_final_run_needs_too_much_memory_is_replaced(toy, tmp_path, monkeypatch) -> None:
    real, heard = toy(), Heard()
    assert len(real) == 120
    monkeypatch.setattr(Trials, "_scored", lambda self, made, planned, what: float("Hungry" in str(made.provenance)))
    made = auto(real, 1, candidates=[HUNGRY, RACE[0]], observers=[heard], out=tmp_path, **LONG)
    choice = made.provenance.auto
    assert (choice["chosen"], choice["why"]) == ("bad", "hungry needs more memory than there is")
    assert "hungry failed, and bad takes its place: it needs more memory than there is" in heard.texts
    again = auto(real, 1, candidates=[HUNGRY, RACE[0]], out=tmp_path, resume=True, **LONG)
    assert torch.equal(again.images, made.images)
    with pytest.raises(MemoryError):
        auto(toy(sizes=(40, 40, 40, 3)), 1, candidates=[HUNGRY], **LONG)  # no other is left


@pytest.mark.parametrize("compile", ["off", "auto"])
def test_a_candidate_that_cannot_be_timed_for_memory_is_not_taken(compile: Compile, toy) -> None:
    hungry = replace(HUNGRY, method=replace(HUNGRY.method, always=True))
    for real, why in ((toy(), "on held-out training images, against bad"), (toy(sizes=(3, 9, 9)), "hungry needs more")):
        heard, ones = Heard(), [hungry, RACE[1], RACE[0]]
        options = AutoOptions(time_budget=100.0, race_epochs=20, race_nets=1, observers=[heard], compile=compile)
        choice = auto(real, 1, candidates=ones, **options).provenance.auto
        assert choice["chosen"] == "good"
        assert why in choice["why"]
        assert "the speed of hungry is not known: it needs more memory than there is" in heard.texts
    assert "hungry: it needs more memory than there is" in preview(toy(), 1, candidates=[hungry, *RACE], **LONG)


def test_without_time_there_is_no_race_and_the_schedule_ends_in_time(toy) -> None:
    heard = Heard()
    endless = [replace(one, method=replace(one.method, iterations=10**7)) for one in RACE]
    made = auto(toy(), 1, candidates=endless, time_budget=1.0, compile="off", observers=[heard])
    assert "no race: beside a race no candidate would do enough iterations in 0:01" in heard.texts
    settings = made.provenance.settings
    assert 0 < settings["iterations"] < 10**5  # as many as fit the time, not those of the candidate
    assert made.provenance.auto["chosen"] == "bad"  # the first


@pytest.mark.filterwarnings("ignore:.* classes have fewer than:UserWarning")
def test_a_number_of_bytes_decides_the_images(toy) -> None:
    real = toy(side=28)
    for ones in (kind_of(real.spec, 1).candidates, kind_of(real.spec, 10).candidates):
        for one in ones:
            few = replace(one, method=replace(one.method, iterations=0, init="noise"))
            (entrant,) = entrants([few], real, None, bytes=12_000, arch="ConvNetD1")
            made = dc.condense(entrant.method, real, entrant.ipc, compile="off")
            assert measure(made, png=False).total <= 12_000
            more = dc.condense(entrant.method, real, entrant.ipc + 1, compile="off")
            assert measure(more, png=False).total > 12_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ipc": 1, "bytes": 8000}, "--ipc and --bytes exclude each other"),
        ({"bytes": 100}, "--bytes 100 is not enough for one image of each class"),
        ({"candidates": 0}, "--candidates 0: must be at least 1"),
        ({"candidates": [GOOD]}, "give a number, or a list of Candidate"),
        ({"candidates": [*RACE, RACE[0]]}, "candidates: two have the name bad: give each a name of its own"),
        (
            {"candidates": [RACE[1], replace(RACE[0], method=replace(BAD, fresh_share=0.3))]},
            "candidate bad: --fresh-share 0.3 needs --networks trained",
        ),
        ({"candidates": [replace(RACE[1], method="dm")]}, "candidate good: 'dm' is not a method"),
        ({"race_hold_out": 0.7}, "--race-hold-out 0.7: must be above 0 and at most 0.5"),
        ({"arch": "nothing"}, "unknown arch 'nothing'"),
        ({"resume": True, "overwrite": True, "out": "x"}, "--resume and --overwrite exclude each other"),
    ],
)
def test_bad_arguments(options, message: str, toy, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        auto(toy(), **options)
    assert not list(tmp_path.iterdir())


def test_a_candidate_of_the_table_that_the_data_do_not_allow_is_told(toy, monkeypatch) -> None:
    heard, kind = Heard(), kind_of(toy().spec, 1)
    lone = replace(RACE[0], name="lone", method=replace(BAD, fresh_share=0.3))
    monkeypatch.setattr(auto_checks, "kind_of", lambda *_: replace(kind, candidates=(lone, *RACE)))
    made = auto(toy(), 1, candidates=1, observers=[heard], **LONG)
    assert made.provenance.auto["chosen"] == "bad"
    line = next(text for text in heard.texts if text.startswith("lone is left out: --fresh-share 0.3 needs"))
    assert line in preview(toy(), 1, candidates=1, **LONG)


@pytest.mark.filterwarnings("ignore:a batch of 64 images per class:UserWarning")
def test_numbers_of_numpy_serve_as_others(toy, tmp_path) -> None:
    numbers: dict[str, Any] = {
        "time_budget": np.float32(100),
        "race_hold_out": np.float32(0.25),
        "race_epochs": np.int64(5),
        "race_nets": np.int64(1),
        "checkpoint_every": np.int64(60),
        "snapshots": np.int64(1),
        "ipc": np.int64(1),
        "seed": np.int64(0),
    }
    made = auto(toy(), candidates=RACE, compile="off", out=tmp_path / "race", **numbers)
    assert (made.provenance.auto["held_out"], made.provenance.auto["time_budget"]) == (30, 100)
    few: dict[str, Any] = {"bytes": np.int64(800), "candidates": np.int64(1), "time_budget": np.int64(2)}
    made = auto(toy(), out=tmp_path / "table", arch="ConvNetD1", compile="off", **few)
    assert made.provenance.auto["why"].endswith("there is one candidate")
    with pytest.raises(InputError, match=r"candidates 2\.5: give a number, or a list of Candidate"):
        auto(toy(), 1, candidates=2.5)  # pyright: ignore[reportArgumentType]


def test_a_run_that_auto_did_not_choose_is_not_resumed(toy, tmp_path) -> None:
    dc.condense(Random(arch="ConvNetD1"), toy(), 1, out=tmp_path)
    with pytest.raises(InputError, match="holds a run that auto did not choose"):
        auto(toy(), 1, candidates=RACE, out=tmp_path, resume=True, **LONG)


def test_networks_that_candidates_share_are_trained_once_and_planned(toy) -> None:
    real, heard = toy(), Heard()
    trained = replace(GOOD, networks="trained", training_steps=12)
    both = [
        Candidate(name="classes", method=replace(trained, classify=0.5), reason="also classifies"),
        Candidate(name="means", method=trained, reason="matches means alone"),
    ]
    entered = entrants(both, real, 1, bytes=None, arch=None)
    slow = Pace(start=1.0, iteration=0.1, training=60.0, trial_training=50.0)
    assert trial_training(entered, {"classes": slow, "means": slow}) == 50  # once for both
    assert (slow.within(2.0), slow.whole(10)) == (10, 62.0)
    task = checked(real, 1, None, both, 0, None, AutoOptions(time_budget=100.0, compile="off")).task
    first = measure_speed(task, task.entrants[0], Race(task).trials.part)
    assert 0 < first.trial_training == first.training
    made = auto(real, 1, candidates=both, observers=[heard], **LONG)
    assert sum(text.startswith("race, round 1") and "dropped" not in text for text in heard.texts) == 2
    assert (made.provenance.training_seconds or 0) > 0
    part = measure_speed(task, task.entrants[0], Race(task).trials.part)  # now the cache has all
    assert (part.trial_training, part.training) == (0, 0)
    assert part.start < 10


def test_without_time_for_a_training_a_faster_candidate_is_taken(toy) -> None:
    endless = replace(GOOD, networks="trained", training_steps=10**6)
    slow = Candidate(name="slow", method=endless, reason="its networks train for hours")
    heard = Heard()
    made = auto(toy(), 1, candidates=[slow, RACE[1]], observers=[heard], **LONG)
    assert made.provenance.auto["chosen"] == "good"
    assert "no race: it alone is fast enough" in heard.texts
    assert "slow does not race: it is too slow for 1:40" in heard.texts


@pytest.mark.parametrize(
    ("budget", "asked", "settled"),
    [(100, "auto", "off"), (100, "on", "on"), pytest.param(1000, "auto", "on", marks=pytest.mark.slow)],
)
def test_only_a_final_run_that_is_long_is_compiled(budget: int, asked: Compile, settled: str, toy) -> None:
    long = [replace(one, method=replace(one.method, iterations=10**7)) for one in RACE]
    task = checked(toy(), 1, None, long, 0, None, {"time_budget": budget, "compile": asked}).task
    assert task.trying().compile == ("off" if asked == "auto" else asked)
    content = task.record.content
    content.paces["bad"] = Pace(start=0.0, iteration=1000.0)  # any compiled code is faster
    settle_compilation(task, task.entrants[0])
    assert content.compile == settled
    assert (content.paces["bad"].iteration < 1000) == (budget == 1000)


def test_the_final_run_has_time_to_begin(toy) -> None:
    task = checked(toy(), 1, None, RACE, 0, None, AutoOptions(time_budget=3.0)).task
    task.record.content.paces["good"] = Pace(start=10.0, iteration=1.0, training=20.0)
    assert final_seconds(task, "good") == 62
    assert final_seconds(task, "bad") < 3


def test_without_a_score_the_first_candidate_is_taken(toy) -> None:
    wild = replace(GOOD, lr=1e6, store="f16")
    both = [Candidate(name=name, method=wild, reason="its pixels do not fit float16") for name in ("one", "two")]
    heard = Heard()
    with pytest.raises(Diverged):
        auto(toy(), 1, candidates=both, observers=[heard], **LONG)
    assert any(text.startswith("chosen: one") and "no candidate could be scored" in text for text in heard.texts)


def test_where_all_of_a_race_fail_a_candidate_that_was_not_timed_is_taken(toy) -> None:
    heard, wild = Heard(), replace(GOOD, lr=1e6, store="f16")
    fail = [Candidate(name=name, method=wild, reason="its pixels do not fit float16") for name in ("one", "two")]
    slow = Candidate(name="slow", method=replace(GOOD, iterations=10**6), reason="too slow to race")
    # without `compile`, whether to compile is settled by the speed of the chosen one
    given = AutoOptions(time_budget=12.0, race_epochs=2, race_nets=1, observers=[heard])
    made = auto(toy(), 1, candidates=[*fail, slow], **given)
    assert made.provenance.auto["chosen"] == "slow"
    assert any("slow does not race: it is too slow" in text for text in heard.texts)
    assert any("no candidate could be scored" in text for text in heard.texts)


def test_a_candidate_that_fails_in_a_later_round_is_not_chosen(toy, monkeypatch) -> None:
    ones = [replace(RACE[1], name=name) for name in ("best", "next", "last")]
    monkeypatch.setattr(Race, "_next", lambda self, planned, kept: replace_round(planned, kept))

    def make(self: Trials, entrant: Entrant, number: int, planned: Round) -> None:
        score = None if number else {"best": 0.9, "next": 0.8, "last": 0.7}[entrant.name]
        fault = "loss is no longer finite" if number else None
        trial = Trial(candidate=entrant.name, round=number, score=score, dropped=fault, seconds=0.1)
        self.task.record.content.trials.append(trial)

    monkeypatch.setattr(Trials, "make", make)
    made = auto(toy(), 1, candidates=ones, **LONG)
    assert made.provenance.auto["chosen"] == "last"


def replace_round(planned: Round, kept: Sequence[Entrant]) -> Round:
    iterations = {one.name: planned.iterations[one.name] for one in kept}
    return Round(iterations=iterations, epochs=planned.epochs, nets=planned.nets, seconds=planned.seconds)


def test_the_first_candidate_is_the_first_that_takes_so_many_images(toy) -> None:
    few = replace(RACE[0], most=2)
    asked = checked(toy(), 1, None, [few, RACE[1]], 0, None, AutoOptions())
    assert [one.name for one in asked.task.entrants] == ["good"]
    with pytest.raises(InputError, match="no candidate takes 1 images of each of 3 classes: ask for fewer"):
        auto(toy(), 1, candidates=[few])
    many = toy(sizes=(9,) * 50)
    assert [one.name for one in checked(many, 100, None, 1, 0, None, AutoOptions()).task.entrants] == ["means"]


def test_other_candidates_are_named_when_a_call_is_resumed(toy, tmp_path) -> None:
    real = toy()
    with pytest.raises(Stopped):
        auto(real, 1, candidates=RACE, out=tmp_path, observers=[Heard("race, round 1: bad: ")], **LONG)
    for ones, message in (
        (RACE[:1], "candidates were bad, good and are bad"),
        ([RACE[0], replace(RACE[1], method=replace(GOOD, lr=0.25))], "candidates good lr was 0.5 and is 0.25"),
    ):
        with pytest.raises(InputError, match=f"cannot resume .* {message}"):
            auto(real, 1, candidates=ones, out=tmp_path, resume=True, **LONG)
