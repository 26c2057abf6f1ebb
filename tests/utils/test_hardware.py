import os
from pathlib import Path

import pytest

from datacondense.utils import hardware


def test_available_memory_is_some_and_not_more_than_there_is() -> None:
    installed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 2**20 < hardware.available_memory() <= installed


@pytest.mark.parametrize(
    ("folder", "limit", "used", "cached"),
    [
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ("", "memory.max", "memory.current", "inactive_file"),
    ],
)
def test_a_container_bounds_it(
    folder: str, limit: str, used: str, cached: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = tmp_path / folder
    group.mkdir(exist_ok=True)
    (group / used).write_text("700000\n")
    (group / "memory.stat").write_text(f"anon 5\n{cached} 200000\n")
    monkeypatch.setattr(hardware, "_CONTROL", tmp_path)
    controllers = "memory" if folder else ""
    monkeypatch.setattr(hardware, "_OWN", tmp_path / "cgroup")
    (tmp_path / "cgroup").write_text(f"3:cpuset:/a\n4:{controllers}:/known/outside\n")
    (group / limit).write_text("1000000\n")
    assert hardware.available_memory() == 500_000
    (group / limit).write_text("max\n" if not folder else "9223372036854771712\n")
    assert hardware.available_memory() > 2**20


@pytest.mark.parametrize("bound", ["", "a", "a/b", "a/b/c"])
def test_every_group_around_it_bounds_it(bound: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("", "a", "a/b", "a/b/c"):
        group = tmp_path / "root" / name
        group.mkdir()
        (group / "memory.max").write_text("1000000\n" if name == bound else "max\n")
        (group / "memory.current").write_text("700000\n")
        (group / "memory.stat").write_text("inactive_file 200000\n")
    monkeypatch.setattr(hardware, "_CONTROL", tmp_path / "root")
    monkeypatch.setattr(hardware, "_OWN", tmp_path / "own")
    (tmp_path / "own").write_text("0::/a/b/c\n")
    assert hardware.available_memory() == 500_000


def cpuinfo(*flags: str, name: str = "flags\t\t") -> str:
    """The text of a file for processors with these features, beside others that all have."""
    return "".join(
        f"processor\t: {index}\nmodel name\t: x\n{name}: fpu sse2 avx2 {each}\nbogomips\t: 4000\n\n"
        for index, each in enumerate(flags)
    )


@pytest.mark.parametrize(
    ("text", "limit", "units"),
    [
        (cpuinfo("fma", "fma"), "", "none"),  # AMD Zen 3
        (cpuinfo("avx512f avx512_bf16", "avx512f avx512_bf16"), "", "vector"),  # AMD Zen 4
        (cpuinfo("avx512_bf16 amx_bf16 amx_tile"), "", "matrix"),
        (cpuinfo("avx512_bf16 amx_bf16 amx_tile"), "all", "matrix"),
        (cpuinfo("avx512_bf16 amx_bf16 amx_tile"), "AVX512_CORE_AMX", "matrix"),
        (cpuinfo("avx512_bf16 amx_bf16 amx_tile"), "AVX512_CORE_BF16", "vector"),
        (cpuinfo("avx512_bf16 amx_bf16", "avx512_bf16"), "", "vector"),
        (cpuinfo("fma", "amx_bf16"), "", "none"),
        (cpuinfo("asimd bf16 i8mm", name="Features\t"), "", "vector"),  # Arm
        ("amx_bf16\nmodel name\t: amx_bf16\n", "", "unknown"),
        ("", "", "unknown"),  # not Linux
    ],
)
def test_the_processor_tells_how_it_multiplies_bf16(text: str, limit: str, units: str) -> None:
    assert hardware.bf16_units(text, limit) == units
