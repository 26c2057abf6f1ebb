"""Every number that a user can give has a range, and what is outside is one line within seconds."""

import dataclasses
import math
from collections.abc import Iterator
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_type_hints

import numpy as np
import pytest
from msgspec import Meta

from datacondense import InputError, Method, condense, estimate, evaluate, keep_scores, networks
from datacondense.cli.app import main
from datacondense.cli.commands.condense import Condense
from datacondense.cli.registry import COMMANDS
from datacondense.data.spec import Spec
from datacondense.experiments.scenario import Scenario
from datacondense.methods import METHODS, DistributionMatching
from datacondense.run.checks import check_method
from datacondense.training.loop import Recipe
from datacondense.utils.ranges import check_arguments, check_fields, check_value

ABSURD = [-1, 0, 2**31, 2**63, 10**400, -(2**63), 1e39, -1e39, math.nan, math.inf, -math.inf]


class _Maybe:
    ipc: Annotated[int, Meta(ge=1, le=5)] | None


INT_ONLY = [0.5, "3", None, True]


def ranges(kind: Any, meta: Meta | None = None) -> Iterator[tuple[type, Meta | None]]:
    """The kinds of numbers in a type, and their ranges."""
    if hasattr(kind, "__metadata__"):
        found = next((one for one in kind.__metadata__ if isinstance(one, Meta)), meta)
        yield from ranges(kind.__origin__, found)
    elif kind in (int, float):
        yield kind, meta
    else:
        for one in get_args(kind):
            yield from ranges(one, meta)


def numeric(cls: type) -> dict[str, tuple[type, Meta | None]]:
    """The numbers among the fields of a dataclass and of those in its fields."""
    found = {}
    hints = get_type_hints(cls, include_extras=True)
    for field in dataclasses.fields(cls):
        if dataclasses.is_dataclass(hints[field.name]):
            found |= numeric(hints[field.name])
        elif field.init:
            found |= dict.fromkeys([field.name], next(ranges(hints[field.name]), None))
    return {name: one for name, one in found.items() if one}


def is_inside(value: Any, meta: Meta) -> bool:
    bounds = [(meta.ge, lambda b: value >= b), (meta.gt, lambda b: value > b), (meta.le, lambda b: value <= b)]
    bounds += [(meta.lt, lambda b: value < b)]
    return all(bound is None or holds(bound) for bound, holds in bounds)


CLASSES: dict[str, type] = {
    **{name: cls for name, cls in COMMANDS.items() if name != "condense"},
    "condense": Condense,
    **{f"condense {name}": cls for name, cls in METHODS.items()},
    "continual scenario": Scenario,
}
OPTIONS = {
    f"{command} --{name.replace('_', '-')}": kind
    for command, cls in CLASSES.items()
    for name, kind in numeric(cls).items()
}


def test_there_are_options() -> None:
    assert len(OPTIONS) > 60


@pytest.mark.parametrize("option", OPTIONS)
def test_every_number_has_a_range_that_refuses_absurd_values(option: str) -> None:
    kind, meta = OPTIONS[option]
    assert meta is not None
    assert (meta.ge if meta.gt is None else meta.gt) is not None
    assert (meta.le if meta.lt is None else meta.lt) is not None
    refused = 0
    for value in ABSURD:
        if is_inside(value, meta) and (kind is float or isinstance(value, int)):
            check_value("x", value, Annotated[kind, meta])
            continue
        refused += 1
        with pytest.raises(InputError, match=r"^--x \S+: must be .{1,60}$"):
            check_value("x", value, Annotated[kind, meta])
    assert refused >= len(ABSURD) - 3


def words(command: str) -> list[str]:
    start = {
        "condense": "condense dm --data digits",
        "evaluate": "evaluate absent",
        "show": "show absent",
        "continual scenario": "continual",
        "import": "import absent.pt run --data digits",
        "label": "label absent --out labelled",
        "reproduce": "reproduce dc/mnist/1 --data digits",
    }
    return start.get(command, command).split()


@pytest.mark.slow
@pytest.mark.parametrize("option", OPTIONS)
def test_absurd_values_are_one_line_on_the_command_line(option: str, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    command, _, flag = option.rpartition(" ")
    for value in ("9223372036854775808", "1e39", "nan", "-1"):
        assert main([*words(command), flag, value]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert error.startswith(f"datacondense: error: {flag} ")
        assert "must be" in error


@pytest.mark.parametrize("command", ["condense dm --lr 1e39", "condense dm --snapshots 1000000000"])
def test_a_few_of_them_on_the_command_line(command: str, capsys) -> None:
    assert main(command.split()) == 2
    assert " and at most 1" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--time-budget", "--checkpoint-every"])
@pytest.mark.parametrize("value", ["1e400", "-1s", "nan", "9" * 400 + "s", "9" * 20 + "h", "inf"])
def test_absurd_times_are_refused(option: str, value: str, capsys) -> None:
    assert main(["condense", "random", "--data", "digits", option, value]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mine(Method):
    """A method of others, with a check of its own that forgets ours."""

    iterations: int = 1
    width: Annotated[int, Meta(ge=1, le=64)] = 8
    loud: bool = False
    share: float = 0.5
    kind: Literal["a", "b"] = "a"
    sizes: tuple[Annotated[int, Meta(ge=1)], ...] = (1, 2)

    def check(self) -> None:
        pass

    workload = start = optimisers = iterate = None  # pyright: ignore


Mine.__abstractmethods__ = frozenset()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 65}, "--width 65: must be at least 1 and at most 64"),
        ({"share": math.nan}, "--share nan: must be a finite number"),
        ({"iterations": 2**63}, "--iterations 9223372036854775808: must be at least -9223372036854775808 and below 2"),
        ({"kind": "c"}, "--kind c: use one of a, b"),
        ({"sizes": (3, 0)}, "must be at least 1"),
        ({"width": "8"}, "--width 8: must be a whole number"),
        ({"loud": "no"}, "--loud no: must be true or false"),
    ],
)
def test_settings_of_others_are_checked_too(settings: dict[str, Any], message: str, toy) -> None:
    with pytest.raises(InputError, match=message):
        check_fields(Mine(**settings))
    with pytest.raises(InputError, match=message):
        check_method(Mine(**settings), toy(), 1)


@pytest.mark.parametrize("value", INT_ONLY)
def test_what_is_no_whole_number(value: Any) -> None:
    with pytest.raises(InputError, match="must be a whole number"):
        check_value("ipc", value, Annotated[int, Meta(ge=1, le=5)])


def test_what_may_be_left_out() -> None:
    maybe = get_type_hints(_Maybe, include_extras=True)["ipc"]
    check_value("ipc", None, maybe)
    check_value("ipc", "ten", int | str)
    check_value("ipc", None, NoneType)
    with pytest.raises(InputError, match="must be at least 1 and at most 5"):
        check_value("ipc", 6, maybe)


@pytest.mark.parametrize(
    "change",
    [
        *({"ipc": 10**9}, {"snapshots": 10**9}, {"seed": 2**63}, {"time_budget": 1e300}),
        *({"checkpoint_every": math.nan}, {"classes_at_once": 0}),
    ],
    ids=str,
)
def test_condense_checks_its_arguments(change: dict[str, Any], toy) -> None:
    arguments: dict[str, Any] = {"ipc": 1, **change}
    with pytest.raises(InputError, match="must be"):
        condense(DistributionMatching(iterations=0), toy(), **arguments)


@pytest.mark.parametrize("change", [{"nets": 0}, {"epochs": 10**9}, {"lr": 1e39}, {"batch": 0}, {"seed": -1}], ids=str)
def test_evaluate_checks_its_arguments(change: dict[str, Any], toy) -> None:
    with pytest.raises(InputError, match=f"--{next(iter(change))} .*: must be"):
        evaluate(toy(), toy(draw=1), archs=["MLP"], **change)


def test_a_network_is_no_wider_and_deeper_than_can_be() -> None:
    spec = Spec("x", ("a", "b"), (1, 32, 32), (0.5,), (0.5,))
    changes: list[dict[str, Any]] = [{"width": 2**63}, {"width": 0}, {"depth": 10**6}, {"depth": -1}]
    for change in changes:
        with pytest.raises(InputError, match=f"--{next(iter(change))} .*: must be at least 1 and at most"):
            networks.ConvNet(spec, **change)
    for name in ("ConvNetW99999999", "ConvNetD999", "ConvNetW-1"):
        with pytest.raises(InputError, match="unknown arch"):
            networks.build(name, spec)


def test_the_phases_of_a_recipe_follow_its_epochs() -> None:
    assert Recipe(epochs=10).first_phase == 6
    check_fields(Recipe(epochs=10))
    with pytest.raises(InputError):
        check_fields(Recipe(epochs=10, lr=math.inf))


def test_arguments_are_checked_by_the_types_of_a_function() -> None:
    def function(share: Annotated[float, Meta(ge=0, le=1)], name: str) -> None: ...

    check_arguments(function, share=0.5, name="x")
    with pytest.raises(InputError, match="--share 2: must be at least 0 and at most 1"):
        check_arguments(function, share=2.0, name="x")


def test_numbers_of_numpy_are_numbers(toy, tmp_path) -> None:
    train = test = toy()
    one: Any = np.int64(1)
    settings: dict[str, Any] = {"iterations": one, "batch_real": np.int32(4), "lr": np.float32(0.5)}
    method = DistributionMatching(**settings)
    how: dict[str, Any] = {"device": "cpu", "compile": "off"}
    synthetic = condense(method, train, one, seed=one, snapshots=one, classes_at_once=one, out=tmp_path / "run", **how)
    assert synthetic.provenance.settings["lr"] == 0.5
    assert type(synthetic.provenance.ipc) is int
    recipe: dict[str, Any] = {"epochs": one, "lr": np.float32(0.01), "batch": np.int64(2)}
    scores = evaluate(synthetic, test, nets=one, seed=one, **recipe, **how)
    keep_scores(tmp_path / "run", {"run": scores})


@pytest.mark.parametrize("seed", [-1, 1.5, "x"])
def test_estimate_checks_its_seed(seed: Any, toy) -> None:
    with pytest.raises(InputError, match="--seed"):
        estimate(DistributionMatching(iterations=0), toy(), 1, seed=seed, device="cpu", compile="off")


@pytest.mark.parametrize(
    ("change", "message"),
    [({"archs": [3]}, "3 is no network: give a name, a module, or"), ({"pool": 3}, "unknown pool 3: choose from")],
)
def test_a_number_in_place_of_a_name(change: dict[str, Any], message: str, toy) -> None:
    train = test = toy()
    with pytest.raises(InputError, match=message):
        evaluate(train, test, nets=1, epochs=1, **change)
