from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, Any

import pytest

from app.runtime.devices import usable_cpus, visible_gpus

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def no_bound_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


V1 = "5:cpu,cpuacct:{path}\n3:memory:/elsewhere\n"
V2 = "0::{path}\n"


def machine(root: Path, membership: str, files: dict[str, str]) -> tuple[Path, Path]:
    (root / "cgroup").write_text(membership)
    for name, text in files.items():
        path = root / "sys" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root / "cgroup", root / "sys"


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        pytest.param("", {}, 16, id="no-cgroup"),
        pytest.param(V2.format(path="/"), {"cpu.max": "max 100000\n"}, 16, id="no-quota"),
        pytest.param(V2.format(path="/"), {"cpu.max": "200000 100000\n"}, 2, id="two-cpus"),
        pytest.param(V2.format(path="/"), {"cpu.max": "250000 100000\n"}, 2, id="a-half-is-none"),
        pytest.param(V2.format(path="/"), {"cpu.max": "50000 100000\n"}, 1, id="at-least-one"),
        pytest.param(V2.format(path="/"), {"cpu.max": "9900000 100000\n"}, 16, id="more-than-all"),
        pytest.param(
            V2.format(path="/a/b"), {"a/b/cpu.max": "max 1\n", "a/cpu.max": "300 100\n"}, 3,
            id="a-quota-above",
        ),
        pytest.param(
            V2.format(path="/host/only"), {"cpu.max": "400 100\n"}, 4, id="a-path-of-the-host"
        ),
        pytest.param(
            V1.format(path="/a"),
            {"cpu,cpuacct/a/cpu.cfs_quota_us": "300\n", "cpu,cpuacct/a/cpu.cfs_period_us": "100\n"},
            3,
            id="version-1",
        ),
        pytest.param(
            V1.format(path="/"),
            {"cpu,cpuacct/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/cpu.cfs_period_us": "100\n"},
            16,
            id="version-1-without-quota",
        ),
        pytest.param(V2.format(path="/"), {"cpu.max": "nonsense"}, 16, id="nonsense"),
    ],
)  # fmt: skip
def test_cpus_are_those_that_the_cgroup_pays_for(
    membership: str,
    files: dict[str, str],
    expected: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    assert usable_cpus(*machine(tmp_path, membership, files)) == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [("3", 3), ("4,2", 4), ("32", 16), ("0", 16), ("many", 16), ("", 16)],
)
def test_cpus_are_no_more_than_openmp_is_given(
    asked: str, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert usable_cpus(*machine(tmp_path, "", {})) == expected


def test_cpus_are_those_that_the_process_may_run_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5})
    assert usable_cpus() == 1


class Driver:
    """libcuda, showing `gpus`, with the status of its two calls."""

    def __init__(self, gpus: int, initialized: int = 0, counted: int = 0) -> None:
        self.gpus, self.initialized, self.counted = gpus, initialized, counted

    def cuInit(self, _: int) -> int:  # noqa: N802
        return self.initialized

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = self.gpus
        return self.counted


@pytest.mark.parametrize(
    ("driver", "expected"),
    [
        pytest.param(Driver(2), 2, id="two"),
        pytest.param(Driver(0), 0, id="a-driver-without-gpus"),
        pytest.param(Driver(2, initialized=100), 0, id="no-device"),
        pytest.param(Driver(2, counted=3), 0, id="cannot-be-counted"),
    ],
)
def test_gpus_are_those_that_the_driver_shows(
    driver: Driver, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: driver)
    assert visible_gpus() == expected


def test_without_a_driver_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_: str) -> None:
        raise OSError("libcuda.so.1: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", load)
    assert visible_gpus() == 0
