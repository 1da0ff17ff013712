from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.promises.checkpoints import push
from benchmarks.rig.corpus.checkpoint_mutations import CANARY, write_canary

if TYPE_CHECKING:
    from pathlib import Path

READER_MB = 1_500


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "")  # which `push` sets, and monkeypatch sets back


def test_of_mutated_checkpoints_nothing_runs_hangs_or_grows(tmp_path: Path) -> None:
    found = push(tmp_path, 60, seed=7, graphs=3)
    assert not found.ran_code
    assert found.reader_mb < READER_MB
    assert found.longest_line < 700
    outcomes = found.outcomes
    assert set(outcomes) <= {
        "CheckpointCorrupt",
        "CheckpointRefused",
        "EngineError",
        "ended when its time was up",
        "made a graph of",
        "read",
    }
    assert outcomes["read"] > 2, "none came through: what is tried is only the first look"
    assert outcomes["CheckpointRefused"] > 5
    assert outcomes["CheckpointCorrupt"] > 5


def test_the_canary_would_sing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_canary(tmp_path, tmp_path / "trace")
    monkeypatch.syspath_prepend(tmp_path)
    __import__(CANARY)
    assert (tmp_path / "trace").exists()
