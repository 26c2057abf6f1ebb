"""label(): give a set the labels of a teacher."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from typing_extensions import Unpack

from .. import networks
from ..augment.mix import MixKind
from ..data.conversion import AnyImages, as_image_set
from ..data.image_set import ImageSet
from ..data.spec import check_fit_of
from ..drawing.progress_bar import progress_bar
from ..engine.execution import Compute, ComputeOptions, resolve_compute
from ..methods import Method, Random
from ..methods.trained_networks import TrainedNetworks
from ..run.directory import LABELLED, LABELLING, RUN, RunDirectory
from ..run.driver import condense
from ..run.outputs import write_outputs
from ..synthetic.generated import Generated
from ..synthetic.provenance import CLASSES
from ..synthetic.set import FILE_NAME, SyntheticSet, check_labels, save
from ..synthetic.targets import class_runs
from ..synthetic.top_labels import TOP_K
from ..synthetic.views import Viewed
from ..training.trajectories import Steps
from ..utils.errors import InputError, unknown
from ..utils.keywords import check_keywords
from ..utils.locks import writing
from ..utils.paths import named, resolved
from ..utils.ranges import Epochs, HeldOut, Images, Rate, Scale, Seed, Temperature, Views, plain
from .label_choice import HOLD_OUT, MOMENTS, TEMPERATURES, Trials
from .teachers import REAL, Report, TeacherName, TeacherSource, training_beside
from .viewed_set import with_views

_RANGED = (
    "moment",
    "temperature",
    "top_k",
    "views",
    "training_steps",
    "training_lr",
    "trial_epochs",
    "trial_hold_out",
    "seed",
)
_TRAINED = ("trained", "blended")  # networks of methods that share their training


class LabelOptions(ComputeOptions, total=False):
    """Keywords of `label`, each of which may be left out."""

    arch: str | None
    """Architecture of the teacher; None takes that of the set, or of the set that the teacher learns."""
    moment: Scale | None
    """Fraction of the training of a teacher on real images after which it labels; None chooses it."""
    temperature: Temperature | None
    """Number that divides the logits of the teacher; None chooses it."""
    top_k: Images | None
    """Largest probabilities of each label that are stored, with their classes; the others share the rest evenly. None
    stores all."""
    views: Views | None
    """Augmented views of each training image, in its place, with a label each; their draws are stored. None stores
    none."""
    mix: MixKind
    """Mixing of each view with another one, before it is labelled: none, mixup or cutmix."""
    training_steps: Steps | None
    """Steps of the training on real images; None takes those of a set made under trained networks, otherwise 500."""
    training_lr: Rate | None
    """First learning rate of that training; None takes 0.02. Teachers of more steps learn more at a higher one."""
    trial_epochs: Epochs | None
    """Epochs of each student by which moment and temperature are chosen; None takes a tenth of its recipe, at least
    30."""
    trial_hold_out: HeldOut
    """Share of the training images of each class on which they are chosen, 0.1 by default."""
    seed: Seed | None
    """Seed of the teacher and of the students; None takes that of the set."""
    out: str | Path | None
    """Run directory to write; None keeps the set in memory."""
    overwrite: bool
    """Replace the run in `out`."""
    report: Report
    """Called with the fraction done and the name of each part of the work."""
    progress: bool
    """Show a progress bar, as in `condense`."""


def label(
    synthetic: SyntheticSet,
    train: AnyImages,
    *,
    teacher: TeacherName = REAL,
    compute: Compute | None = None,
    **options: Unpack[LabelOptions],
) -> SyntheticSet:
    """Return a set of the same images with soft labels: the class probabilities of a trained network, float16.

    Where neither a moment nor a temperature is given, a few of both are tried: a tenth of the training images is held
    out, the teacher learns the others, and a network is trained for fewer epochs on each labelling of the set. The
    best on the held-out images is taken. No test image is seen.

    Args:
        synthetic: The set. Each of its training images gets a label of its own.
        train: The real training images that it was made from, as in `condense`.
        teacher: real for a network that learns these images, whose training methods with `networks` trained share; the
            path of a file of weights; a run directory or a set, on which a network is trained by its recipe; or a
            trained module.
        compute: Device, precision and compilation, as in `evaluate`.
        options: The keywords of `LabelOptions`.

    Returns:
        The set; `provenance.labels` records the teacher, and the accuracies that were compared.

    Raises:
        InputError: An argument cannot be used, or the teacher does not know the classes.
        Locked: Another process writes to `out`.
    """
    began = time.perf_counter()
    with progress_bar("label", options.get("progress", True)) as bar:
        if isinstance(synthetic, SyntheticSet):
            train = as_image_set(train, spec=synthetic.spec, progress=bar.read)
        trials = _checked(synthetic, train, teacher, compute, options)
        out, report = options.get("out"), _both(options.get("report"), bar.part)
        if out is None:
            return _labelled(trials, train, report, began)
        with writing(named(out)):
            run = RunDirectory(named(out))
            _check_free(run, teacher, overwrite=options.get("overwrite", False))
            made = _labelled(trials, train, report, began)
            run.clear()
            run.record({"status": LABELLING, **made.provenance.to_json()})
            _write(made, train, run, LABELLED)
            return made


def _both(report: Report | None, shown: Report) -> Report:
    """Return a report that calls both."""

    def call(done: float, what: str) -> None:
        if report is not None:
            report(done, what)
        shown(done, what)

    return call


def label_run(
    synthetic: SyntheticSet, train: ImageSet, run: str | Path, compute: Compute, report: Report, asked: LabelOptions
) -> SyntheticSet:
    """Give the set of a run the labels of a teacher on real images in place of its own, and return it.

    The rest of the run stays, so that it can be resumed. A set that has such labels is returned as it is; pictures and
    record follow where an earlier call was killed before they were written.
    """
    directory = RunDirectory(named(run))
    recorded, made = directory.recorded(), synthetic
    if not synthetic.provenance.labels:
        options: LabelOptions = {**asked, "report": report}
        made = label(synthetic, train, compute=compute, **options)
    elif recorded.get("labels"):
        return synthetic
    _write(made, train, directory, str(recorded["status"]))
    return made


def labelling_seconds(
    method: Method, train: ImageSet, ipc: int, *, seed: int, compute: Compute, asked: LabelOptions
) -> float:
    """Estimate the seconds in which `label_run` labels a set of a method; write nothing.

    A network that the method trains on the real images is the teacher, and is not counted again.

    Args:
        method: The method.
        train: The real images.
        ipc: Synthetic images of each class.
        seed: Seed of the run.
        compute: Device, precision and compilation.
        asked: Options of `label`.
    """
    method = replace(method, arch=networks.resolved(method.arch, train.spec))
    few = Random(arch=method.arch, augment=method.augment)
    like = condense(few, train, ipc * method.views(train.spec), seed=seed, compute=compute, progress=False)
    like = replace(like, provenance=like.provenance.changed(settings=method.settings()))
    trials = _checked(like, train, REAL, compute, asked)
    shared = isinstance(method, TrainedNetworks) and method.trains_first and not asked
    last = 0.0 if shared else trials.source.training.seconds_left(train, 1.0)
    return trials.seconds_left(train) + last


def _write(made: SyntheticSet, train: ImageSet, run: RunDirectory, status: str) -> None:
    """Write a set, its pictures and its record; the record last."""
    run.path.mkdir(parents=True, exist_ok=True)
    save(made, run.path / FILE_NAME)
    write_outputs(made, train, run.path)
    run.record({"status": status, **made.provenance.to_json()})


def _checked(
    synthetic: SyntheticSet, train: ImageSet, teacher: TeacherName, compute: Compute | None, options: LabelOptions
) -> Trials:
    """Return the trials that the arguments of `label` ask for. Raises InputError for invalid arguments."""
    check_keywords("label", LabelOptions, options, *_RANGED)
    if not isinstance(synthetic, SyntheticSet):
        raise InputError(f"{synthetic!r} is not a set: give the result of load_set or condense")
    if isinstance(synthetic.stored, Generated):
        raise InputError("latents make their images by class, so they take no other labels: export and import the set")
    check_fit_of(synthetic.spec, train.spec, "training")
    moment = options.get("moment")
    training = training_beside(
        synthetic,
        resolve_compute(compute, options),
        arch=options.get("arch"),
        steps=plain(options.get("training_steps")),
        lr=plain(options.get("training_lr")),
        seed=plain(options.get("seed")),
    )
    source = TeacherSource(which=teacher, arch=options.get("arch"), training=training)
    for name in ("moment", "training_steps", "training_lr"):
        if not source.real and options.get(name) is not None:
            flag = name.replace("_", "-")
            raise InputError(f"--{flag} {options.get(name)}: is for --teacher real alone: leave it out")
    kept = training.moments()
    if moment is not None and moment not in kept:
        raise InputError(f"--moment {moment:g}: use one of {', '.join(f'{one:g}' for one in kept)}")
    moments = [one for one in MOMENTS if one in kept] if moment is None else [plain(moment)]
    mix, views = options.get("mix", "none"), plain(options.get("views"))
    if mix not in get_args(MixKind):
        raise unknown("mixing", mix, get_args(MixKind))
    if mix != "none" and views is None:
        raise InputError(f"--mix {mix}: mixes views: give their number, such as --views 20")
    classes = synthetic.stored_classes
    if views is not None:
        synthetic = with_views(synthetic, views, training.augment, training.seed, mix)
    temperature, top_k = options.get("temperature"), plain(options.get("top_k"))
    if top_k is not None and top_k >= train.spec.classes:
        raise InputError(f"--top-k {top_k}: there are {train.spec.classes} classes: use fewer, or leave it out")
    return Trials(
        synthetic=synthetic,
        source=source,
        moments=moments if source.real else (),
        temperatures=TEMPERATURES if temperature is None else (float(plain(temperature)),),
        hold_out=options.get("trial_hold_out", HOLD_OUT),
        epochs=plain(options.get("trial_epochs")),
        top_k=top_k,
        classes=classes,
    )


def _labelled(trials: Trials, train: ImageSet, report: Report, began: float) -> SyntheticSet:
    """Choose moment and temperature, and label the set by a teacher of all training images."""
    choice, synthetic = trials.choose(train, report), trials.synthetic
    cached = choice.cached
    if choice.moment is None:
        teacher = choice.teacher or trials.source.given(train, report)
    else:
        taught = trials.source.taught(train, report)
        teacher = taught.at[choice.moment]
        cached += 0.0 if _counted(synthetic, teacher.settings(), train) else taught.cached
    labels = trials.labels(teacher, choice.temperature)
    check_labels(len(synthetic), labels, synthetic.spec)
    record = {**teacher.settings(), "temperature": choice.temperature, CLASSES: class_runs(trials.classes)}
    if isinstance(synthetic.stored, Viewed):
        mixing = synthetic.stored.mixing
        record |= {"views": synthetic.stored.each, **({"mix": mixing.kind} if mixing else {})}
    record |= {TOP_K: trials.top_k} if trials.top_k is not None else {}
    record |= {"trials": [*choice.trials], "held_out": choice.held_out} if choice.trials else {}
    record |= {"seconds": round(time.perf_counter() - began + cached, 3)}
    return replace(synthetic, labels=labels, provenance=synthetic.provenance.changed(labels=record))


def _counted(synthetic: SyntheticSet, teacher: Mapping[str, Any], train: ImageSet) -> bool:
    """Return whether the time of a set includes the training of the teacher, as its method compared under it."""
    made, settings = synthetic.provenance, synthetic.provenance.settings
    same = (settings.get("training_steps"), None, settings.get("arch"), made.seed, made.data_sha256) == (
        teacher["steps"],
        teacher.get("lr"),
        teacher["arch"],
        teacher["seed"],
        train.fingerprint(),
    )
    return same and settings.get("networks") in _TRAINED and bool(made.training_seconds)


def _check_free(run: RunDirectory, teacher: TeacherName, *, overwrite: bool) -> None:
    """Raise InputError unless a run directory is free, or may be replaced and is not the teacher's."""
    if isinstance(teacher, str | Path) and teacher != REAL and resolved(teacher) == resolved(run.path):
        raise InputError(f"{run.path} holds the teacher's set: name another directory")
    if not run.occupied():
        return
    if not run.has_run():
        raise InputError(f"{run.path} has files named like those of a run, but no {RUN}: name another directory")
    if not overwrite and run.recorded().get("status") != LABELLING:
        raise InputError(f"{run.path} holds a run: replace it with --overwrite, or name another directory")
