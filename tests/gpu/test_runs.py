"""Whole runs on a GPU: resumed, out of memory, end to end, evaluated; see `conftest.py` for a CPU."""

import json
import statistics
from typing import Any

import pytest
import torch
from observing import Losses, StopAfter, same

from datacondense import InputError, Observer, Random, RunProgress, condense, evaluate
from datacondense.engine.execution import Compute
from datacondense.engine.out_of_memory import peak_memory
from datacondense.methods import DSA, DistributionMatching, GradientMatching, Method
from datacondense.utils import hardware

pytestmark = pytest.mark.gpu
EXACT = "color_crop_cutout_flip"  # the gradient of sampling on a grid is a sum in any order on a GPU
METHODS: dict[str, Method] = {
    "dm": DistributionMatching(iterations=5, batch_real=16, arch="ConvNetD1", augment=EXACT),
    "dsa": DSA(iterations=5, batch_real=16, arch="ConvNetD1", augment=EXACT, updates=2, epochs=1, adam=True),
}
LONG: dict[str, Method] = {
    "dm": DistributionMatching(iterations=60, batch_real=40, lr=0.3, arch="ConvNetD1", augment="none"),
    "dsa": DSA(iterations=60, batch_real=40, lr=0.3, init="noise", arch="ConvNetD1", augment="none"),
}


@pytest.mark.parametrize("name", METHODS)
def test_an_interrupted_run_is_resumed_bit_for_bit(device: str, name: str, toy, tmp_path) -> None:
    how: Any = {"device": device, "compile": "off"}
    whole = condense(METHODS[name], toy(), 2, out=tmp_path / "whole", **how)
    condense(METHODS[name], toy(), 2, out=tmp_path / "parts", observers=[StopAfter(2)], **how)
    again = condense(METHODS[name], toy(), 2, out=tmp_path / "parts", resume=True, **how)
    assert same(whole, again)
    assert again.provenance.iterations_done == 5


@pytest.mark.slow
@pytest.mark.parametrize("name", LONG)
def test_the_loss_falls_and_the_set_beats_random_images(device: str, name: str, toy) -> None:
    train, test, losses = toy(sizes=(200,) * 6), toy(sizes=(100,) * 6, draw=1), Losses()
    made = condense(LONG[name], train, 1, device=device, observers=[losses])
    assert statistics.fmean(losses.values[-20:]) < 0.5 * statistics.fmean(losses.values[:3])
    random = condense(Random(arch="ConvNetD1", augment="none"), train, 1, device=device)
    ours, theirs = (evaluate(one, test, nets=3, epochs=100, device=device).mean("ConvNetD1") for one in (made, random))
    assert ours > theirs + 0.1


def test_an_evaluation_gives_the_accuracy_of_the_cpu(device: str, toy) -> None:
    examples = condense(Random(arch="ConvNetW32"), toy(sizes=(60,) * 4), 10, device="cpu")
    test = toy(sizes=(200,) * 4, draw=1)
    found, expected = (evaluate(examples, test, nets=5, epochs=20, device=where) for where in (device, "cpu"))
    assert found.mean("ConvNetW32") == pytest.approx(expected.mean("ConvNetW32"), abs=0.03)


class Full(GradientMatching):
    """Runs out of memory before the second update of the third iteration, once, as a GPU would."""

    left = 1

    def iterate(self, run):
        for update, loss in enumerate(super().iterate(run)):
            if (run.number, update) == (2, 1) and Full.left:
                Full.left -= 1
                raise torch.OutOfMemoryError("no memory is left")
            yield loss


class Told(Observer):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def progress(self, progress: RunProgress) -> None: ...

    def message(self, text: str) -> None:
        self.texts.append(text)


def test_an_iteration_without_memory_is_repeated_in_smaller_chunks(device: str, toy, tmp_path) -> None:
    settings: Any = {"iterations": 4, "batch_real": 8, "updates": 2, "epochs": 1, "arch": "ConvNetD1"}
    how: Any = {"device": device, "compile": "off", "precision": "fp32"}
    Full.left = 0
    whole = condense(Full(**settings), toy(), 2, **how)
    Full.left, told = 1, Told()
    result = condense(Full(**settings), toy(), 2, out=tmp_path, observers=[told], **how)
    assert [text.partition(":")[0] for text in told.texts] == ["out of memory in iteration 3"]
    torch.testing.assert_close(result.images, whole.images, rtol=0, atol=1e-4)
    recorded = json.loads((tmp_path / "run.json").read_text())["execution"]
    assert recorded["classes_at_once"] == 1


def test_a_run_goes_on_where_the_memory_of_the_gpu_ends(cuda: str, toy) -> None:
    method = DistributionMatching(iterations=2, batch_real=2000, arch="ConvNet", augment="none")
    real = toy(sizes=(2000,) * 8, channels=3, side=32)
    how: Any = {"device": cuda, "compile": "off", "precision": "fp32"}
    with peak_memory(torch.device(cuda)) as peak:
        whole = condense(method, real, 1, **how)
    assert peak.bytes > 2**28
    torch.cuda.empty_cache()
    told = Told()
    try:
        torch.cuda.set_per_process_memory_fraction(peak.bytes / 2 / torch.cuda.get_device_properties(0).total_memory)
        tight = condense(method, real, 1, observers=[told], **how)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert any("out of memory in iteration 1" in text for text in told.texts)
    torch.testing.assert_close(tight.images, whole.images, rtol=0, atol=1e-4)


def test_the_gpu_is_named_and_others_are_refused(cuda: str, toy) -> None:
    assert hardware.describe(torch.device(cuda)) == torch.cuda.get_device_name(0)
    with pytest.raises(InputError, match=r"--device cuda:99: PyTorch sees \d+ CUDA devices"):
        Compute("cuda:99").plan("ConvNetD1", toy().spec, 0)
