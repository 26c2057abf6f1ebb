"""`benchmarks/gpu.py`: its parts at toy size on the CPU, parts that hang or crash, and the order of the cells."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import gpu
import pytest
import torch
from gpu_cells import _job, _plan, _unfinished, progress, seconds_of
from gpu_jobs import ROOT, Job, Outcome, run
from gpu_report import Report, counted

TOY = ["--device", "cpu", "--compile", "off", "--toy", "2", "--cells", "dm/10"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_one_line_says_so(tmp_path, capsys) -> None:
    assert gpu.main(["--out", str(tmp_path / "out")]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("gpu: error: there is no GPU: PyTorch ")
    assert not (tmp_path / "out").exists()


def test_a_package_that_is_missing_or_too_old_is_named_in_one_line(tmp_path) -> None:
    (tmp_path / "torch.py").write_text('raise ImportError("no PyTorch")')
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu.py")]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "gpu: error: no PyTorch: install the wheels of this project first\n"


def test_without_pytest_the_other_parts_are_offered(tmp_path, monkeypatch, capsys) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pytest" else found(name))
    assert gpu.main(["--device", "cpu", "--out", str(tmp_path / "out")]) == 2
    error = "gpu: error: the tests need pytest: install it, or name the other parts, --parts speed cells\n"
    assert capsys.readouterr().err == error


def test_a_folder_that_cannot_be_written_is_refused_in_one_line(tmp_path, capsys) -> None:
    (tmp_path / "file").write_text("")
    assert gpu.main(["--device", "cpu", "--out", str(tmp_path / "file" / "out")]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert printed.endswith(": name a folder that can be written\n")


def test_a_try_on_the_cpu_does_not_pass_for_results(tmp_path, capsys) -> None:
    Report(tmp_path, "cpu", toy=2).write()
    assert gpu.main(["--device", "cpu", "--out", str(tmp_path)]) == 2
    error = f"gpu: error: --out {tmp_path} has results of --device cpu --toy 2: name another folder\n"
    assert capsys.readouterr().err == error


def test_results_of_another_machine_are_marked(tmp_path) -> None:
    report = Report(tmp_path, "cpu")
    for name in ("cell: dm/10", "cell: dm/1"):
        report.add(name, Outcome("done", 1.0))
    report.jobs["cell: dm/1"]["device"] = "another"
    report.write()
    text = Report(tmp_path, "cpu").text()
    assert "| cell: dm/10 | done | 1 |  |" in text
    assert "| cell: dm/1 | done | 1 | on another |" in text


def test_an_unknown_cell_is_refused_before_any_work(tmp_path, capsys) -> None:
    assert gpu.main(["--device", "cpu", "--cells", "dm/10", "dm/7", "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == "gpu: error: --cells dm/7: name cells such as dsa/10, dc/10, dm/50\n"
    assert not (tmp_path / "out").exists()


def python(code: str, **settings) -> Job:
    return Job("a job", [sys.executable, "-c", code], **settings)


def test_a_job_that_hangs_is_ended_with_all_that_it_started(tmp_path) -> None:
    code = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid); time.sleep(60)"
    )
    outcome = run(python(code, grace=0.2), 2.0, tmp_path)
    assert outcome.status == "out of time"
    child = int((tmp_path / outcome.log).read_text())
    for _ in range(50):
        state = Path(f"/proc/{child}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            break
        time.sleep(0.1)
    else:
        pytest.fail("its child still runs")


def test_a_job_that_crashes_leaves_its_last_line(tmp_path) -> None:
    outcome = run(python("print('begun'); raise MemoryError('no memory')"), 60, tmp_path)
    assert (outcome.status, outcome.detail) == ("failed", "MemoryError: no memory")
    assert run(python("raise SystemExit(1)", passes=(0, 1)), 60, tmp_path).status == "done"


def test_a_stopped_job_may_end_by_itself(tmp_path) -> None:
    code = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit('saved')); time.sleep(60)"
    outcome = run(python(code, grace=10), 12.0, tmp_path)
    assert (outcome.status, outcome.detail) == ("out of time", "saved")


def measured(out: Path) -> Report:
    """A report of a GPU on which an iteration of `dm` takes 10 ms, an update of `dc` 20 ms, and a step 2 ms."""
    report = Report(out, "cpu")
    for work, seconds in {"dm": 0.01, "dc": 0.02, "training": 0.002}.items():
        numbers = {"seconds": {"on": seconds, "off": 2 * seconds}, "ipc": 10}
        report.jobs[f"speed: {work}"] = {"status": "done", "numbers": numbers}
    return report


def test_the_time_of_a_cell_follows_from_the_time_of_an_iteration(tmp_path) -> None:
    report = measured(tmp_path)
    starting = 60
    assert seconds_of("dm/10", report) == pytest.approx(20_000 * 0.01 + starting)
    assert seconds_of("dsa/10", report) == pytest.approx(1000 * (10 * 0.02 + 9 * 50 * 0.002) + starting)
    assert seconds_of("dc/1", report) == pytest.approx(1000 * 0.02 * 259 / 286 + starting)
    record = tmp_path / "runs" / "dm" / "fashion-mnist" / "10" / "seed0" / "run.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"iterations_done": 15_000, "wall_seconds": 150.0}))
    assert seconds_of("dm/10", report) == pytest.approx(5_000 * 0.01 + starting)
    assert seconds_of("dm/10", Report(tmp_path / "none", "cpu")) is None


def test_the_tests_of_a_log_that_was_cut_off_are_counted() -> None:
    log = "a.py::test_one PASSED [ 1%]\na.py::test_two[x-1] FAILED [ 2%]\na.py::test_three SKIPPED (no) [3%]\na.py::tes"
    assert counted(log) == {"passed": 1, "skipped": 1, "failed": ["a.py::test_two[x-1]"]}


def test_a_machine_without_the_images_says_so_once_and_keeps_the_rest(tmp_path, monkeypatch, capsys) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    arguments = ["--device", "cpu", "--parts", "cells", "--data-dir", str(empty), "--out", str(tmp_path / "out")]
    assert gpu.main(arguments) == 0
    (job,) = json.loads((tmp_path / "out" / "gpu.json").read_text())["jobs"].values()
    assert job["status"] == "failed"
    assert job["detail"].startswith("no FashionMNIST, so no cells: ")
    assert capsys.readouterr().out.startswith("no FashionMNIST, so no cells: ")
    assert "| cells | failed | 0 | no FashionMNIST" in (tmp_path / "out" / "gpu.md").read_text()


@pytest.mark.slow
def test_all_parts_run_at_toy_size_and_only_once(tmp_path, capsys) -> None:
    arguments = [*TOY, "--out", str(tmp_path)]
    assert gpu.main(arguments) == 0
    content = json.loads((tmp_path / "gpu.json").read_text())
    assert {job["status"] for job in content["jobs"].values()} == {"done"}
    assert content["jobs"]["tests"]["numbers"] == {"passed": 2, "skipped": 0, "failed": []}
    assert content["jobs"]["speed: evaluation"]["numbers"]["seconds"]["off"] > 0
    assert content["jobs"]["cell: dm/10"]["numbers"]["n"] == 1
    text = (tmp_path / "gpu.md").read_text()
    assert "| dm/10 |" in text
    assert text.strip() in capsys.readouterr().out
    logs = {path: path.stat().st_mtime_ns for path in (tmp_path / "logs").iterdir()}
    assert gpu.main(arguments) == 0
    assert logs == {path: path.stat().st_mtime_ns for path in (tmp_path / "logs").iterdir()}


@pytest.mark.slow
def test_a_cell_that_is_stopped_is_evaluated_as_it_is_and_goes_on(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(os.environ, "OMP_NUM_THREADS", "1")
    options = gpu.parser().parse_args([*TOY[:-4], "--toy", "100000", "--out", str(tmp_path)])
    plan = _plan("dm/1", options)
    outcome = run(_job("dm/1", options), 50.0, tmp_path / "logs")
    assert outcome.status == "out of time"
    done, seconds = progress(plan, tmp_path)
    assert done > 0
    assert seconds > 0
    numbers = _unfinished("dm/1", plan, options, 120.0)
    assert numbers["n"] == 5
    assert str(numbers["ours"]).endswith(", unfinished")
    run(_job("dm/1", options), 45.0, tmp_path / "logs")
    assert progress(plan, tmp_path)[0] > done
