"""Published experiments by name: every one can be run, and its number is the published one."""

import pytest
import torch

from datacondense import METHODS, NETWORKS, Provenance, SyntheticSet
from datacondense.data.image_set import ImageSet
from datacondense.data.spec import Spec
from datacondense.experiments.experiment_plan import plan_experiment
from datacondense.experiments.preset import Preset
from datacondense.experiments.presets import PRESETS
from datacondense.experiments.stored_bytes import images_within
from datacondense.methods import DC, DSA, DistributionMatching, KernelRegression, Random, method_name
from datacondense.networks import build, pool_archs, resolved

DATA = ["mnist", "fashion-mnist", "svhn", "cifar10", "cifar100"]
README = {  # the authors' tables, images per class by dataset; "-" is theirs
    "dc": """
        1   91.7  70.5  31.2  28.3  12.8
        10  97.4  82.3  76.1  44.9  25.2
        50  98.8  83.6  82.3  53.9  -
    """,
    "dsa": """
        1   88.7  70.6  27.5  28.8  13.9
        10  97.8  84.6  79.2  52.1  32.3
        50  99.2  88.7  84.4  60.6  -
    """,
}
VARIANTS = {  # of dm: images per class on CIFAR10, in the papers; "-" is not read
    "m3d": "45.3 63.5 69.9",
    "tgdd": "- 71.9 76.5",
    "ncfm": "- 65.6 74.2",
    "idm": "45.6 58.6 67.5",
    "datadam": "- - -",
}
LARGE = {100: (67.0, 0.3), 200: (71.2, 0.4), 500: (76.1, 0.3), 1000: (79.8, 0.3), 1250: (80.8, 0.3)}  # DM, CIFAR10


@pytest.fixture(params=PRESETS)
def preset(request: pytest.FixtureRequest) -> Preset:
    return PRESETS[request.param]


def test_it_can_be_run(preset: Preset) -> None:
    preset.method.check()
    assert method_name(preset.method) in METHODS
    assert preset.method.arch in NETWORKS
    assert preset.ipc >= 1
    assert (preset.sets, preset.nets) in [(5, 20), (5, 5), (3, 5), (1, 5)]
    assert set(pool_archs(preset.pool, preset.method.arch)) <= set(NETWORKS)


def test_a_published_number_is_of_a_network_that_is_tested(preset: Preset) -> None:
    assert set(preset.published) <= set(pool_archs(preset.pool, preset.method.arch))
    for mean, deviation in preset.published.values():
        assert 0 < mean < 100
        assert deviation is None or 0 < deviation < 2
    assert bool(preset.published) == bool(preset.source)


def test_a_name_begins_with_the_method_and_tells_what_varies() -> None:
    for name, preset in PRESETS.items():
        method, *rest = name.split("/")
        assert method in ("fast", "idc", "idc-i", "dream", "frepo", *VARIANTS, method_name(preset.method))
        settings = preset.method.settings()
        images = str(preset.ipc)
        if settings["store"] == "u8" and rest[-1] == "u8":  # four stored images in the bytes of one
            images = str(preset.ipc // 4)
        listed = [preset.data, images, settings["arch"], settings["augment"], settings.get("distance")]
        assert set(rest) - {
            "cross",
            "labels",
            "width",
            "depth",
            "activation",
            "pooling",
            "norm",
            "distance",
            "strategy",
            "sampler",
            "u8",
            "views",
        } <= set(listed)
    assert len({preset.title for preset in PRESETS.values()}) == len(PRESETS)


@pytest.mark.parametrize("method", README)
def test_the_numbers_of_gradient_matching_are_those_of_the_readme(method: str) -> None:
    for line in README[method].strip().splitlines():
        for data, number in zip(DATA, line.split()[1:], strict=False):
            published = PRESETS[f"{method}/{data}/{line.split()[0]}"].published
            assert [mean for mean, _ in published.values()] == ([] if number == "-" else [float(number)])
    for data in DATA:
        assert not any(PRESETS[f"{method}/{data}/{ipc}"].published for ipc in (20, 30, 40))


def test_the_numbers_of_large_sets_are_those_of_the_readme() -> None:
    assert {ipc: PRESETS[f"dm/cifar10/{ipc}"].published["ConvNet"] for ipc in LARGE} == LARGE
    assert not PRESETS["dm/cifar100/100"].published


def test_the_same_experiment_under_two_names_has_one_number() -> None:
    for name in ("cross/ConvNet", "width/ConvNetW128", "depth/ConvNetD3", "pooling/ConvNetAP", "norm/ConvNetIN"):
        assert list(PRESETS[f"dc/{name}"].published.values()) == [(91.7, 0.5)]
    assert not PRESETS["dc/distance/mse/ConvNet"].published
    flip, no_flip = "color_crop_cutout_flip_scale_rotate", "color_crop_cutout_scale_rotate"
    for data, same, other in (("mnist", no_flip, flip), ("svhn", no_flip, flip), ("cifar10", flip, no_flip)):
        assert PRESETS[f"dsa/strategy/{data}/{same}"].published == PRESETS[f"dsa/{data}/10"].published != {}
        assert not PRESETS[f"dsa/strategy/{data}/{other}"].published


def test_the_networks_called_the_same_are_the_same() -> None:
    """Their published number is that of Table 1, so they must be its network."""
    spec = Spec("x", tuple("0123456789"), (1, 28, 28), (0.5,), (0.5,))
    standard = str(build("ConvNet", spec))
    for arch in ("ConvNetW128", "ConvNetD3", "ConvNetAR", "ConvNetAP", "ConvNetIN"):
        assert str(build(arch, spec)) == standard


def test_the_published_settings_are_the_defaults() -> None:
    for method, lr, augment, init, iterations in (
        (DC(), 0.1, "none", "noise", 1000),
        (DSA(), 0.1, "auto", "real", 1000),
        (DistributionMatching(), 1.0, "auto", "real", 20_000),
    ):
        published = (method.lr, method.augment, method.init, method.iterations)
        assert published == (lr, augment, init, iterations)
        assert (method.momentum, method.batch_real) == (0.5, 256)
        for side in (28, 32):
            spec = Spec("x", tuple("0123456789"), (1, side, side), (0.5,), (0.5,))
            assert resolved(method.arch, spec) == "ConvNet"


@pytest.mark.parametrize(
    ("kind", "other"), [("1", "dsa"), ("10", "dsa"), ("50", "dsa"), ("1/views", "idc"), ("10/views", "idc")]
)
def test_fast_presets_are_held_against_published_numbers_of_equal_floats(kind: str, other: str) -> None:
    fast = PRESETS[f"fast/fashion-mnist/{kind}"]
    published = PRESETS[f"{other}/fashion-mnist/{fast.ipc}"]
    assert fast.published == published.published
    assert fast.source == f"{published.source}; by another method"
    assert isinstance(fast.method, DistributionMatching)
    assert (fast.method.init, fast.method.schedule) == ("kmeans", "cosine")
    assert (fast.method.form == "pixels") == (other == "dsa")


@pytest.mark.parametrize("name", [name for name in PRESETS if name.endswith("/u8")])
def test_sets_in_8_bits_fit_the_bytes_of_float32_images_which_they_name(name: str) -> None:
    preset = PRESETS[name]
    spec = Spec("x", tuple("0123456789"), (1, 28, 28), (0.5,), (0.5,))
    real = ImageSet(torch.rand(40, 1, 28, 28), torch.arange(10).repeat(4), spec)
    floats = int(name.split("/")[-2])
    limit = 10 * floats * (4 * 28 * 28 + 1) + 8  # pixels, label; mean and standard deviation
    assert images_within(limit, Random(), real) == floats
    assert images_within(limit, preset.method, real) == preset.ipc


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_of_distribution_matching_have_the_numbers_that_were_read(variant: str) -> None:
    for ipc, number in zip((1, 10, 50), VARIANTS[variant].split(), strict=True):
        preset = PRESETS[f"{variant}/cifar10/{ipc}"]
        assert [mean for mean, _ in preset.published.values()] == ([] if number == "-" else [float(number)])
    assert [PRESETS[f"ncfm/sampler/cifar10/{ipc}"].published["ConvNet"][0] for ipc in (1, 10, 50)] == [49.5, 71.8, 77.4]
    assert not PRESETS["m3d/fashion-mnist/10"].published  # not read


def test_learning_rates_of_variants_are_those_of_normalised_pixels() -> None:
    for variant, published in (("m3d", 1.0), ("tgdd", 0.1)):  # a step on (p - mean) / std, in p
        lr = PRESETS[f"{variant}/cifar10/10"].method.settings()["lr"]
        assert lr * 0.2003**2 == pytest.approx(published, rel=0.01)
    assert PRESETS["ncfm/cifar10/10"].method.settings()["lr"] * 0.2009 == pytest.approx(1e-3, rel=0.01)
    assert PRESETS["idm/cifar10/10"].method.settings()["lr"] == 0.2
    assert PRESETS["datadam/cifar10/10"].method.settings()["lr"] == 100


def test_a_scaled_experiment_has_shorter_trainings_before_it() -> None:
    method = plan_experiment("tgdd/cifar10/10", scale=0.1).preset.method.settings()
    assert [method[name] for name in ("trainings", "training_steps", "iterations")] == [2, 2346, 1000]


@pytest.mark.parametrize(
    ("data", "ipc", "std", "lr"), [("fashion-mnist", 1, 0.353, 1e-4 * 0.875**2), ("mnist", 50, 0.3081, 1e-4)]
)
def test_idc_has_the_published_rates_in_our_units(data: str, ipc: int, std: float, lr: float) -> None:
    for name in ("idc", "idc-i", "dream"):
        method = PRESETS[f"{name}/{data}/{ipc}"].method
        assert isinstance(method, DSA)
        # ten steps of one class each, with momentum 1/2, are one of all classes with momentum 1/2^10
        assert method.momentum == 0.5**10
        assert method.lr == pytest.approx(lr * ipc / 10 / std**2 * (2 - 0.5**9))
        assert (method.distance, method.updates, method.steps) == ("conv-l1", 100, 8)
    assert PRESETS[f"idc/{data}/{ipc}"].method.views(Spec("x", ("a", "b"), (1, 28, 28), (0.5,), (0.5,))) == 4


def test_idc_leaves_cutout_and_cutmix_out_where_published() -> None:
    for name, mixed in (
        ("idc/mnist/10", False),
        ("idc-i/mnist/10", True),
        ("idc/svhn/1", True),
        ("idc/cifar10/10", True),
    ):
        preset = PRESETS[name]
        assert isinstance(preset.method, DSA)
        assert preset.recipe is not None
        assert (preset.method.mix_net == preset.recipe.mix == "cutmix") is mixed
        assert ("cutout" in preset.method.augment) is mixed
        assert "cutout" not in preset.recipe.augment
    svhn = PRESETS["idc-i/svhn/1"].recipe
    assert svhn is not None
    assert (svhn.mix, svhn.augment) == ("none", "color_crop_cutout_scale_rotate")


def test_a_share_of_a_preset_keeps_its_recipe() -> None:
    plan = plan_experiment("idc/mnist/1", scale=0.1)
    assert plan.preset.method.iterations == 200
    images = torch.zeros(40, 1, 28, 28)
    spec = Spec("mnist", tuple("0123456789"), (1, 28, 28), (0.5,), (0.5,))
    (recipe,) = plan.protocol(SyntheticSet(images, torch.arange(40) % 10, spec, Provenance()), seed=0).recipes.values()
    assert (recipe.epochs, recipe.full_rate, recipe.batch, recipe.mix) == (100, 67, 64, "none")


@pytest.mark.parametrize(("ipc", "epochs"), [(1, 1000), (10, 2000), (50, 5000)])
def test_frepo_has_the_published_settings(ipc: int, epochs: int) -> None:
    preset = PRESETS[f"frepo/fashion-mnist/{ipc}"]
    method, recipe = preset.method, preset.recipe
    assert isinstance(method, KernelRegression)
    assert (method.loss, method.label_form, method.networks, method.pool) == ("mse", "values", "pool", 10)
    assert (method.ridge, method.lifetime, method.batch_real * 10) == (1e-6, 100, 1030)  # equally many of each class
    assert method.lr_labels == pytest.approx(3e-4 * 0.3)  # 0.3 is the size of centred one-hot rows of ten classes
    assert recipe is not None
    assert (recipe.epochs, recipe.batch, recipe.loss, recipe.lr) == (epochs, 500, "mse", 3e-4)
    assert not preset.published  # not read
