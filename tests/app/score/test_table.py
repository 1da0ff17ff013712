from __future__ import annotations

import errno
import json
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from app.score import table as module
from app.score.table import About, ScoreTable
from app.xray.errors import ScoringError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ABOUT = About("xrays", "best_model", "5" * 64, True, ("SICK", "WELL"), "refuse", "openvino", "1.0")
PICTURES = [f"{n}.png" for n in range(23)]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART_ROWS", 5)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "scores.parquet"


def row(path: str) -> dict[str, Any]:
    return {"path": path, "label": "WELL", "confidence": 0.75, "probability_WELL": 0.75}


def fill(table: ScoreTable, limit: int = 100) -> None:
    for path in [path for path, _ in zip(table.remaining(), range(limit), strict=False)]:
        table.add(row(path))


def never() -> Iterator[str]:
    raise AssertionError
    yield


def begin_and_kill(out: Path, rows: int) -> None:
    """Whatever is not on disk is lost."""
    with ScoreTable(out, ABOUT, PICTURES) as table:
        fill(table, rows)
        table._rows.clear()


def go_on_to_the_end(out: Path) -> None:
    with ScoreTable(out, ABOUT, never()) as table:
        fill(table)
        table.finish()
    assert pq.read_table(out)["path"].to_pylist() == PICTURES
    assert list(out.parent.iterdir()) == [out]


def test_each_picture_has_its_row_in_order_and_nothing_else_is_left(out: Path) -> None:
    with ScoreTable(out, ABOUT, PICTURES) as table:
        fill(table)
        table.finish()
    found = pq.read_table(out)
    assert found["path"].to_pylist() == PICTURES
    assert found["probability_WELL"].to_pylist() == [0.75] * 23
    assert found["probability_SICK"].null_count == found["error"].null_count == 23
    assert json.loads(found.schema.metadata[b"cxr"])["sha256"] == "5" * 64
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize("stop", range(0, 24, 3))
def test_a_run_that_is_killed_goes_on_after_its_last_whole_part(out: Path, stop: int) -> None:
    begin_and_kill(out, stop)
    with ScoreTable(out, ABOUT, never()) as table:
        assert table.done == stop - stop % 5
        assert list(table.remaining()) == PICTURES[table.done :]
    go_on_to_the_end(out)


def test_a_run_that_is_stopped_in_order_loses_nothing(out: Path) -> None:
    with ScoreTable(out, ABOUT, PICTURES) as table:
        fill(table, 7)
    with ScoreTable(out, ABOUT, never()) as table:
        assert table.done == 7
    go_on_to_the_end(out)


def test_a_kill_while_the_pictures_are_listed_begins_anew(out: Path) -> None:
    def break_off() -> Iterator[str]:
        yield from PICTURES[:3]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ScoreTable(out, ABOUT, break_off())
    begin_and_kill(out, 0)
    go_on_to_the_end(out)


def test_a_kill_while_a_part_is_written_leaves_no_half_of_it(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(rows: Any, path: Path) -> None:
        path.write_bytes(b"PAR1")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", half)
        with pytest.raises(KeyboardInterrupt):
            begin_and_kill(out, 5)
    go_on_to_the_end(out)


def test_a_kill_after_the_table_is_whole_takes_it_as_it_is(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_: Path) -> None:
        raise KeyboardInterrupt

    with ScoreTable(out, ABOUT, PICTURES) as table, monkeypatch.context() as patch:
        fill(table)
        patch.setattr(module.shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            table.finish()
    go_on_to_the_end(out)


def test_a_full_disk_is_said_so_and_what_is_there_is_kept(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    begin_and_kill(out, 5)
    with monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", full)
        with pytest.raises(ScoringError, match="No space left"):
            go_on_to_the_end(out)
    go_on_to_the_end(out)


def test_a_disk_that_is_full_before_the_first_row_is_said_so(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "_sync", full)
    with pytest.raises(ScoringError, match=r"cannot be written.*No space left"):
        ScoreTable(out, ABOUT, PICTURES)


def test_a_finished_table_is_not_written_over(out: Path) -> None:
    out.write_bytes(b"mine")
    with pytest.raises(ScoringError, match="is there already"):
        ScoreTable(out, ABOUT, PICTURES)
    assert out.read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("field", "value"),
    [("sha256", "6" * 64), ("source", "others"), ("ood", "warn"), ("classes", ("WELL", "SICK"))],
    ids=["model", "source", "gate", "classes"],
)
def test_a_table_is_of_one_model_and_one_source(out: Path, field: str, value: Any) -> None:
    begin_and_kill(out, 6)
    with pytest.raises(ScoringError, match=f"another {field}"):
        ScoreTable(out, ABOUT._replace(**{field: value}), PICTURES)


def test_two_processes_never_write_one_table(out: Path) -> None:
    with ScoreTable(out, ABOUT, PICTURES), pytest.raises(ScoringError, match="another process"):
        ScoreTable(out, ABOUT, PICTURES)
    go_on_to_the_end(out)


def test_a_place_that_cannot_be_written_is_the_operators_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ScoringError, match="cannot be written"):
        ScoreTable(tmp_path / "file" / "scores.parquet", ABOUT, PICTURES)


def test_a_table_that_lacks_rows_is_never_finished(out: Path) -> None:
    with ScoreTable(out, ABOUT, PICTURES) as table:
        fill(table, 22)
        with pytest.raises(RuntimeError, match="22 of 23"):
            table.finish()
    assert not out.exists()
