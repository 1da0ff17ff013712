from __future__ import annotations

import itertools
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from app.score import __main__ as command
from app.score import table
from app.score.table import ScoreTable
from tests.app.score.conftest import COUNT
from tests.live import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

RAY = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
BEGUN = 100


@pytest.mark.usefixtures("settings")
def test_what_was_begun_here_is_ended_by_actors_with_the_same_rows(
    archive: Path, whole: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "scores.parquet"
    add, taken = ScoreTable.add, itertools.count()

    def stop(self: ScoreTable, row: dict[str, Any]) -> None:
        if next(taken) == BEGUN:
            raise KeyboardInterrupt
        add(self, row)

    with monkeypatch.context() as patch:
        patch.setattr(ScoreTable, "add", stop)
        assert command.main([str(archive), "--out", str(out)]) == command.EXIT_STOPPED
    flags = ["-m", "app.score", str(archive), "--out", str(out), "--ray", "local"]
    ended = subprocess.run(
        [sys.executable, *flags],
        cwd=ROOT,
        env=os.environ | RAY,
        check=False,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert ended.returncode == 0, ended.stderr
    assert f"{COUNT} rows in {out}" in ended.stderr
    found = pq.read_table(out)
    assert found.equals(whole)
    assert found.schema.metadata[table.METADATA_KEY]
    assert found["error"].null_count == COUNT - 2


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "[::1]:1"])
def test_a_cluster_that_is_not_there_is_said_in_a_line(
    address: str, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.parquet"
    assert command.main([str(archive), "--out", str(out), "--ray", address]) == 2
    said = capsys.readouterr().err
    assert f"error: Ray at {address}: " in said
    assert "Traceback" not in said
