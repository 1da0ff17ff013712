from __future__ import annotations

import io
from contextlib import redirect_stderr
from typing import TYPE_CHECKING, NamedTuple

import pyarrow.parquet as pq
import pytest

from app.score.__main__ import main
from benchmarks.rig.corpus.drawing import draw_radiograph, encode

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

COUNT = 200


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 names, two of them of no picture, and the others of one and the same."""
    folder = tmp_path_factory.mktemp("archive")
    picture = folder / "0000.png"
    picture.write_bytes(encode(draw_radiograph()))
    for n in range(1, COUNT - 2):
        (folder / f"{n:04}.png").symlink_to(picture)
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("hello")
    return folder


class Run(NamedTuple):
    out: Path
    said: str
    """On stderr."""


@pytest.fixture(scope="session")
def run(archive: Path, tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One over `archive` that nothing interrupts."""
    out = tmp_path_factory.mktemp("whole") / "scores.parquet"
    with pytest.MonkeyPatch.context() as patch, redirect_stderr(io.StringIO()) as said:
        patch.setenv("CXR_MODEL_PATH", str(tiny_checkpoint))
        assert main([str(archive), "--out", str(out)]) == 0
    return Run(out, said.getvalue())


@pytest.fixture(scope="session")
def whole(run: Run) -> pa.Table:
    """The table of `archive`."""
    return pq.read_table(run.out)


@pytest.fixture
def settings(tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXR_MODEL_PATH", str(tiny_checkpoint))
