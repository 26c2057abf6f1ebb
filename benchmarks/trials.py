"""A trial of `dm`, `krr` or `random` on FashionMNIST's validation images: condense, train networks, print one line.

Condensed on 50 000 training images, tested on the 10 000 others; the test images are not read. Settings come as
NAME=VALUE, such as `python benchmarks/trials.py --ipc 10 --nets 2 regress=10 lr=0.03 form=dct coefficients=98`. With
`--views` a teacher of the 50 000 images labels mixed views of the set, as `condense METHOD --labels soft` does.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import held_out
import torch

from datacondense import condense
from datacondense.evaluation.labelling import label
from datacondense.evaluation.scoring import evaluate
from datacondense.evaluation.soft_labels import TEACHER_STEPS, soft_labels
from datacondense.experiments.presets import PRESETS
from datacondense.methods import KernelRegression, Method, Random
from datacondense.utils import hardware

_START: dict[str, Method] = {
    "dm": replace(PRESETS["fast/fashion-mnist/10"].method, iterations=400),
    "krr": KernelRegression(iterations=400),
    "random": Random(store="u8"),
}


def read_settings(method: str, given: Sequence[str]) -> dict[str, Any]:
    """Return the settings of NAME=VALUE arguments; a value that is not JSON is a string."""
    read = {}
    for one in given:
        name, _, value = one.partition("=")
        if name not in {field.name for field in fields(_START[method])}:
            raise SystemExit(f"{method} has no setting {name!r}; see `datacondense condense {method} --help`")
        try:
            read[name] = json.loads(value)
        except json.JSONDecodeError:
            read[name] = value
    return read


def main(arguments: argparse.Namespace) -> None:
    """Condense, evaluate, and print settings, accuracies and seconds as one line of JSON."""
    settings = read_settings(arguments.method, arguments.settings)
    train, validation, _ = held_out.fashion_mnist()
    began = time.perf_counter()
    made = condense(replace(_START[arguments.method], **settings), train, arguments.ipc, seed=arguments.seed)
    if arguments.views:
        soft = soft_labels(train.spec, arguments.teacher_steps)
        soft |= {"views": arguments.views, "seed": arguments.seed}
        made = label(made, train, **soft)
    condensed = time.perf_counter()
    scores = evaluate(made, validation, archs=["ConvNet"], nets=arguments.nets, epochs=arguments.epochs)
    line = {
        "method": arguments.method,
        "ipc": arguments.ipc,
        "seed": arguments.seed,
        "settings": settings,
        "views": arguments.views,
        "teacher_steps": arguments.teacher_steps if arguments.views else None,
        "epochs": arguments.epochs,
        "accuracies": [round(100 * one, 2) for one in scores.accuracy["ConvNet"]],
        "condensing_seconds": round(condensed - began),
        "evaluation_seconds": round(time.perf_counter() - condensed),
        "machine": hardware.describe(torch.device("cpu"), 1),
    }
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "settings",
        nargs="*",
        metavar="NAME=VALUE",
        help="other settings than those of fast/fashion-mnist/10, or than the defaults of krr, with 400 iterations, or "
        "than random images in 8 bits",
    )
    parser.add_argument("--method", choices=list(_START), default="dm")
    parser.add_argument("--ipc", type=int, default=10, help="images of each class")
    parser.add_argument("--nets", type=int, default=1, help="networks trained on the set")
    parser.add_argument("--epochs", type=int, help="epochs of each; by default those of the recipe of the set")
    parser.add_argument("--views", type=int, help="mixed views of each training image, with labels of a teacher")
    parser.add_argument("--teacher-steps", type=int, default=TEACHER_STEPS, help="steps of the teacher")
    parser.add_argument("--seed", type=int, default=0)
    main(parser.parse_args())
