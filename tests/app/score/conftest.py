from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.rig.corpus.drawing import draw_radiograph, encode

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 400


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 names of one picture, and two that are none."""
    folder = tmp_path_factory.mktemp("archive")
    picture = folder / "0000.png"
    picture.write_bytes(encode(draw_radiograph()))
    for n in range(1, COUNT - 2):
        (folder / f"{n:04}.png").symlink_to(picture)
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("hello")
    return folder


@pytest.fixture
def settings(tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXR_MODEL_PATH", str(tiny_checkpoint))
