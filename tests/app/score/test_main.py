from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from app.score import table
from app.score.__main__ import main
from tests.app.score.conftest import COUNT
from tests.live import ROOT
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from tests.app.score.conftest import Run


def test_an_archive_becomes_a_table(run: Run) -> None:
    found = pq.read_table(run.out)
    assert found.num_rows == COUNT
    assert found["error"].null_count == COUNT - 2
    assert json.loads(found.schema.metadata[table.METADATA_KEY])["model"] == "tiny"
    said = " ".join(run.said.split())
    assert f"{COUNT} rows in {run.out}" in said
    assert f"{COUNT}/{COUNT}" in said
    assert "2 without an answer" in said


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_a_run_that_is_ended_goes_on_and_comes_to_the_same_table(
    archive: Path, whole: pa.Table, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "scores.parquet"
    parts = tmp_path / "scores.parquet.parts"
    flags = [str(archive), "--out", str(out)]
    # Some pictures of the middle take for ever, so that it is ended there on any machine.
    script = f"""
import asyncio, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
from app.score import __main__, scorer, table
table.PART_ROWS = 20
score = scorer.Scorer.score
begun = []
async def for_ever(self, address):
    begun.append(address)
    if len(begun) > 70:
        await asyncio.sleep(1000)
    return await score(self, address)
scorer.Scorer.score = for_ever
__main__.main({flags!r})
"""
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, env=os.environ)
    wait_until(lambda: len(list(parts.glob("part-*"))) >= 3)
    process.send_signal(signal.Signals[name])
    process.wait(30)
    done = sum(pq.read_metadata(part).num_rows for part in parts.glob("part-*"))
    assert 60 <= done < COUNT
    assert main(flags) == 0
    assert pq.read_table(out).equals(whole)


@pytest.mark.usefixtures("settings")
def test_what_the_operator_must_mend_is_said_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "nowhere"), "--out", str(tmp_path / "a.parquet")]) == 2
    said = capsys.readouterr().err
    assert "no pictures there" in said
    assert "Traceback" not in said
