"""Files of torch.save with any content: a set, or one clear error; never another exception."""

import collections
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datacondense import InputError, Spec, load_set
from datacondense.formats import PixelScale, find_runs, import_sets

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]
SPEC = Spec("toy", ("a", "b", "c"), (1, 4, 4), (0.5,), (0.25,))
SHAPES = [
    (6, 1, 4, 4),
    (6, 4, 4),
    (6, 4, 4, 1),
    (6, 16),
    (0, 1, 4, 4),
    (6, 1, 4, 5),
    (),
    (6,),
    (6, 1),
    (6, 3),
    (6, 0, 4),
]
NAMES = ["f.pt", "images_best.pt", "res_DM_toy_ConvNet_1ipc.pt", "data.pt"]
KEYS: list[Any] = [
    "data",
    "accs_all_exps",
    "datacondense",
    "images",
    "labels",
    "x",
    "y",
    "z_eff_all",
    3,
    None,
    ("a", 1),
]


class Contents:
    """Draws what a file may hold, often nearly right."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        torch.manual_seed(seed)

    def tensor(self) -> Any:
        shape = self.random.choice(SHAPES)
        tensor = self.random.choice(
            [
                torch.randn(shape),
                torch.rand(shape),
                torch.randint(0, 256, shape, dtype=torch.uint8),
                torch.full(shape, float("nan")),
                torch.zeros(shape),
                torch.randint(-1, 4, shape),
                torch.randn(shape).bool(),
                torch.randn(shape).double() * 1e300,
                torch.randn(shape).half() * 100,
            ]
        )
        if self.random.random() < 0.7:
            return tensor
        with np.errstate(all="ignore"):
            return tensor.numpy().astype(self.random.choice([">f4", "u2", "u4", "u8", "i1", "?", "f2"]))

    def images(self) -> Any:
        plain = [torch.randn(6, 1, 4, 4), torch.rand(6, 1, 4, 4), torch.randint(0, 256, (6, 4, 4), dtype=torch.uint8)]
        return self.random.choice(plain) if self.random.random() < 0.85 else self.tensor()

    def labels(self) -> Any:
        plain = [torch.randint(0, 3, (6,)), torch.randint(0, 3, (6, 1)).float(), np.arange(6) % 3]
        return self.random.choice(plain) if self.random.random() < 0.85 else self.tensor()

    def any(self, depth: int = 0) -> Any:
        draw = self.random.random()
        if depth > 3 or draw < 0.3:
            odd = [None, True, -1, 2**70, float("inf"), "x", b"x", (), [], {}, np.float64(0.5), np.bool_(1)]
            return self.random.choice([*odd, self.tensor(), self.tensor()])
        if draw < 0.6:
            return self.random.choice([list, tuple])(self.any(depth + 1) for _ in range(self.random.randint(0, 3)))
        kind = self.random.choice([dict, collections.OrderedDict])
        return kind((self.random.choice(KEYS), self.any(depth + 1)) for _ in range(self.random.randint(1, 3)))

    def file(self) -> Any:
        draw = self.random.random()
        if draw < 0.2:
            return [self.images(), self.labels()]
        if draw < 0.7:
            accuracies = self.random.choice([{}, {"MLP": [0.5]}, {"MLP": np.zeros(2)}, self.any(2)])
            entries = [[self.images(), self.labels()] for _ in range(self.random.choice([1, 1, 2]))]
            return {"data": entries, "accs_all_exps": accuracies}
        return self.any()


PIXELS: tuple[PixelScale, ...] = ("auto", "auto", "normalised", "unit", "zca")


def test_any_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    read = refused = 0
    for seed in range(2000):
        contents = Contents(seed)
        name, pixels = contents.random.choice(NAMES), contents.random.choice(PIXELS)
        torch.save(contents.file(), name, _use_new_zipfile_serialization=contents.random.random() < 0.7)
        torch.save(contents.labels(), "labels_best.pt")
        shutil.rmtree("out", ignore_errors=True)
        try:
            import_sets(name, SPEC, "out", pixels=pixels)
        except InputError as error:
            refused += 1
            message = str(error)
        else:
            message = ""
            read += 1
            for run in find_runs(Path("out")):
                load_set(run)
        assert "\n" not in message, seed
        assert Path("out").exists() == (not message), seed
    assert min(read, refused) > 200
