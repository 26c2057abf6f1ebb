"""What `make gpu` has found: one JSON file, and a page to read, both written again after each part."""

import json
import platform
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from gpu_jobs import Outcome

from datacondense.utils import hardware
from datacondense.utils.atomic import write_bytes
from datacondense.utils.errors import InputError


class Report:
    """The outcomes of the jobs by name, read from an earlier call in the same folder."""

    def __init__(self, out: Path, device: str, toy: int = 0) -> None:
        """Raise InputError for a folder with results of another device or size, which would count as done."""
        self.out = out
        self.asked = {"device": device, "toy": toy}
        out.mkdir(parents=True, exist_ok=True)
        self.path = out / "gpu.json"
        self.jobs: dict[str, dict[str, Any]] = {}
        if self.path.exists():
            earlier = json.loads(self.path.read_text())
            self.jobs = earlier["jobs"]
            if earlier["asked"] != self.asked:
                had = " ".join(f"--{name} {value}" for name, value in earlier["asked"].items())
                raise InputError(f"--out {out} has results of {had}: name another folder")
        self.machine = {
            "device": hardware.describe(torch.device(device)),
            "memory": torch.cuda.get_device_properties(0).total_memory if device != "cpu" else None,
            "cuda": torch.version.cuda,
            "platform": platform.platform(),
            **hardware.versions(),
        }

    def done(self, name: str) -> bool:
        """Return whether a job is done."""
        return self.jobs.get(name, {}).get("status") == "done"

    def add(self, name: str, outcome: Outcome, result: Path | None = None) -> None:
        """Keep the outcome of a job, with the content of its result, and write all."""
        entry = {**asdict(outcome), "device": self.machine["device"]}
        if result is not None and result.exists():
            entry["numbers"] = json.loads(result.read_text())
        log = self.out / "logs" / outcome.log
        if name == "tests" and log.exists():
            entry["numbers"] = counted(log.read_text(errors="replace"))
        if name.startswith("published") and log.exists():
            rows = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("| ")]
            entry["numbers"] = {"rows": rows[1:]}  # without their head
        self.jobs[name] = entry
        self.write()

    def write(self) -> None:
        """Write both files in one step each."""
        content = {"machine": self.machine, "asked": self.asked, "jobs": self.jobs}
        write_bytes(self.path, (json.dumps(content, indent=1) + "\n").encode())
        write_bytes(self.out / "gpu.md", (self.text() + "\n").encode())

    def text(self) -> str:
        """Return the page."""
        machine = ", ".join(f"{name} {value}" for name, value in self.machine.items() if value is not None)
        lines = ["# On a GPU", "", machine, "", "| part | outcome | seconds | |", "|---|---|---|---|"]
        for name, job in self.jobs.items():
            device = job["device"]  # of an earlier call, maybe elsewhere
            where = "" if device == self.machine["device"] else f"on {device}"
            words = "; ".join(filter(None, [_short(name, job), where]))
            lines.append(f"| {name} | {job['status']} | {job['seconds']:.0f} | {words} |")
        lines += self._table("speed: ", ["work", "off", "on", "graphs", "graphs, times as fast as on"], _times)
        rows = [row for job in self._of("published").values() for row in job["numbers"].get("rows", [])]
        if rows:
            head = "work | at | published | ours | ratio | share of the floor | memory, published | memory, ours"
            lines += ["", f"| {head} |", "|---" * 8 + "|", *rows]
        lines += self._table(
            "cell: ", ["cell", "ours", "published", "n", "iterations", "condensing", "evaluation"], _cell
        )
        failed = [test for job in self._of("tests").values() for test in job["numbers"].get("failed", [])]
        if failed:
            lines += ["", "Failed tests:", "", *(f"- {test}" for test in failed)]
        return "\n".join(lines)

    def _of(self, beginning: str) -> dict[str, dict[str, Any]]:
        return {name: job for name, job in self.jobs.items() if name.startswith(beginning)}

    def _table(self, beginning: str, head: list[str], row: Any) -> list[str]:
        rows = [row(name.removeprefix(beginning), job["numbers"]) for name, job in self._of(beginning).items()]
        rows = [" | ".join(one) for one in rows if one]
        return (
            ["", f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {one} |" for one in rows)] if rows else []
        )


def counted(log: str) -> dict[str, Any]:
    """Return how many tests passed, failed and were skipped by a log of `pytest -v`, also of one that was cut off."""
    found = re.findall(r"^(\S+::.+?) (PASSED|FAILED|ERROR|SKIPPED)\b", log, re.MULTILINE)
    ends = dict(found)
    counts = {end.lower(): list(ends.values()).count(end) for end in ("PASSED", "SKIPPED")}
    return {**counts, "failed": sorted(name for name, end in ends.items() if end in ("FAILED", "ERROR"))}


def _short(name: str, job: dict[str, Any]) -> str:
    numbers = job["numbers"]
    if name == "tests" and numbers:
        return f"{numbers['passed']} passed, {len(numbers['failed'])} failed, {numbers['skipped']} skipped"
    return str(job["detail"] or "").replace("|", "/")


def _times(work: str, numbers: dict[str, Any]) -> list[str] | None:
    times = numbers.get("seconds", {})
    if not times:
        return None
    shown = [f"{1000 * times[mode]:.2f} ms" if mode in times else "" for mode in ("off", "on", "graphs")]
    ratio = f"{times['on'] / times['graphs']:.2f}x" if {"on", "graphs"} <= times.keys() else ""
    return [f"{work}, ipc {numbers['ipc']}", *shown, ratio]


def _cell(name: str, numbers: dict[str, Any]) -> list[str] | None:
    if "ours" not in numbers:
        return None
    published = numbers.get("published")
    return [
        name,
        str(numbers["ours"]),
        " ± ".join(map(str, published)) if published else "",
        str(numbers.get("n", "")),
        str(numbers.get("iterations", "")),
        f"{numbers.get('condense') or 0:.0f} s",
        f"{numbers.get('evaluate') or 0:.0f} s",
    ]
