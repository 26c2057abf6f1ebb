"""Settings that have an effect only beside others are refused where they would have none."""

from dataclasses import dataclass, field, replace

import pytest
import torch
from toy_methods import toy_method

from datacondense import InputError, condense
from datacondense.methods import DistributionMatching, Method, base

OTHER = {
    "factor": 3,
    "coefficients": 9,
    "clamp": True,
    "trainings": 2,
    "fresh_share": 0.5,
    "ahead": 1,
    "queue_steps": 3,
    "queue_every": 2,
    "relative": True,
    "frequencies": 16,
    "sampler": True,
    "classify": 0.5,
    "classify_by": "loss",
    "steps": 5,
    "warm_up": 3,
    "batch_net": 7,
    "mix_net": "cutmix",
    "epochs": 5,
    "interval": 2,
    "pool": 3,
    "lifetime": 4,
    "lr_net": 0.05,
    "lr_labels": 0.5,
    "margin": 3.0,
}
"""Another value of each such setting than the default."""
REFUSED = "sampler", "classify", "clamp"
"""Those that would fail, or have an effect that nobody means."""


CASES = {
    "dm": toy_method("dm"),
    "dm by another distance": toy_method("dm", distance="mmd"),
    "dm under trained networks": toy_method("dm", networks="trained", training_steps=4),
    "dm under a queue": toy_method("dm", networks="queue", queue_steps=1),
    "dm of coefficients": toy_method("dm", form="dct"),
    "dm of tiles": toy_method("dm", form="tiles"),
    "dm by characteristic functions": toy_method("dm", distance="cf", frequencies=8),
    "dm that classifies": toy_method("dm", networks="trained", training_steps=20, classify=1.0),
    "dc": toy_method("dc"),
    "dc of chosen images": toy_method("dc", batches="dream", updates=4, iterations=2),
    "dsa that trains on real images": toy_method("dsa", train_on="real", iterations=2),
    "krr": toy_method("krr", iterations=12),
    "krr under a frozen network": toy_method("krr", networks="frozen", training_steps=4),
    "krr under fresh networks without labels": toy_method("krr", networks="fresh", label_form="hard"),
}


def unused(method: Method) -> list[str]:
    return [name for name, (used, _) in method.needs().items() if not used]


@pytest.mark.parametrize("case", CASES)
def test_a_setting_without_effect_is_refused_and_says_what_it_needs(case: str) -> None:
    method = CASES[case]
    method.check()
    needs = method.needs()
    assert unused(method)
    for name in unused(method):
        given = f"--{name.replace('_', '-')} {OTHER[name]}".removesuffix(" True").replace("3.0", "3")
        with pytest.raises(InputError) as caught:
            replace(method, **{name: OTHER[name]}).check()
        assert str(caught.value) == f"{given} needs {needs[name][1]}: it has no effect without it, so leave it out"


@pytest.mark.parametrize("case", CASES)
def test_what_is_refused_would_change_nothing(case: str, toy, monkeypatch: pytest.MonkeyPatch) -> None:
    method = CASES[case]
    wanted = condense(method, toy(), 2)
    monkeypatch.setattr(base, "check_used", lambda settings, needs: None)
    changes = {name: OTHER[name] for name in unused(method) if name not in REFUSED}
    found = condense(replace(method, **changes), toy(), 2)
    assert torch.equal(found.images, wanted.images)
    assert torch.equal(found.labels, wanted.labels)


@pytest.mark.parametrize(
    ("case", "names"),
    [
        ("dm", ["relative"]),
        ("dm by characteristic functions", ["frequencies", "sampler"]),
        ("dm under trained networks", ["trainings", "fresh_share", "classify"]),
        ("dm that classifies", ["ahead", "classify_by"]),
        ("dm under a queue", ["queue_steps", "queue_every", "fresh_share", "classify"]),
        ("dm of coefficients", ["coefficients"]),
        ("dm of tiles", ["factor", "clamp"]),
        ("dc", ["epochs"]),
        ("dc of chosen images", ["interval"]),
        ("dsa that trains on real images", ["steps", "warm_up", "batch_net", "mix_net"]),
        ("krr", ["pool", "lifetime", "lr_net", "lr_labels"]),
    ],
)
def test_what_is_allowed_has_an_effect(case: str, names: list[str], toy) -> None:
    method = CASES[case]
    wanted = condense(method, toy(), 2)
    for name in names:
        assert method.needs()[name][0]
        found = condense(replace(method, **{name: OTHER[name]}), toy(), 2)
        same = found.images.shape == wanted.images.shape and torch.equal(found.images, wanted.images)
        assert not same or not torch.equal(found.labels, wanted.labels), name


@dataclass(frozen=True, kw_only=True)
class Layered(DistributionMatching):  # pyright: ignore[reportGeneralTypeIssues]
    """A setting with a made default, and one without any, both without effect unless `layers` is on."""

    layers: bool = False
    widths: list[int] = field(default_factory=lambda: [1, 2])
    depth: int

    def needs(self):
        return {**super().needs(), **dict.fromkeys(("widths", "depth"), (self.layers, "--layers"))}


def test_a_made_default_is_one_and_a_required_setting_is_never_refused() -> None:
    Layered(depth=3).check()
    Layered(depth=3, widths=[5], layers=True).check()
    with pytest.raises(InputError, match=r"^--widths \[5\] needs --layers: it has no effect without it"):
        Layered(depth=3, widths=[5]).check()
