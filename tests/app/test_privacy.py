"""Nothing of a patient touches the disk, or reaches the log."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest

from benchmarks.rig.corpus.dicoms import write_dicom
from benchmarks.rig.corpus.drawing import draw_radiograph, encode
from tests.live import live

if TYPE_CHECKING:
    from pathlib import Path

WATCH = '''
import os, sys

def tell(event, arguments):
    """Say on stderr what is opened to be written to, by name or without one."""
    if event == "open":
        path, mode, flags = arguments
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | getattr(os, "O_TMPFILE", 0))
        is_file = not isinstance(path, int) and path != os.devnull  # a number is a pipe's
        if writes and is_file and not str(path).startswith("/proc/self/"):
            os.write(2, f"WRITES {path!r}\\n".encode())
    elif event.startswith(("tempfile.", "shutil.", "os.rename", "os.mkdir")):
        os.write(2, f"WRITES {event} {arguments!r}\\n".encode())

sys.addaudithook(tell)
'''
LARGE = encode(draw_radiograph(size=(1600, 1500)), compress_level=1)
"""Past the size at which Starlette's own forms go to the disk."""
DICOM = write_dicom(
    np.asarray(draw_radiograph(size=(1100, 1000))),
    PatientID="DOE-123",
    PatientName="DOE^JANE",
    StudyDescription="DOE STUDY",
    BodyPartExamined="DOE",
)


@pytest.fixture
def uploads() -> list[dict[str, object]]:
    assert len(LARGE) > 1_048_576 < len(DICOM)
    boundary = {"Content-Type": "multipart/form-data; boundary=DOE"}
    return [
        {"files": {"file": ("DOE^JANE.png", LARGE, "image/png")}},
        {"content": LARGE, "headers": {"Content-Type": "image/DOE"}},
        {"files": {"file": ("DOE^JANE.dcm", DICOM)}},
        {"files": {"file": ("../../DOE.png", LARGE[:-1000])}},
        {"content": DICOM[: len(DICOM) // 2]},
        {"files": {"DOE": ("DOE.png", LARGE)}},
        {"content": b"--DOE\r\nDOE", "headers": boundary},
        {"content": b"DOE" * 1000},
    ]


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files of what is started from now on, with Python's own tell-tale.

    It cannot be written to by root alone, so what is written is told by an audit hook as well.
    """
    (tmp_path / "sitecustomize.py").write_text(WATCH)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("TMPDIR", str(temporary))
    return temporary


def test_no_upload_touches_the_disk_and_nothing_of_it_reaches_the_log(
    watched: Path, tiny_checkpoint: Path, uploads: list[dict[str, object]]
) -> None:
    with live(tiny_checkpoint, drain_s="0", log_level="debug") as (client, process):
        os.utime(watched, ns=(0, 0))
        answers = [
            client.post(f"{path}?DOE=DOE", **upload)  # type: ignore[arg-type]
            for path in ("/predict", "/explain", "/DOE")
            for upload in uploads
        ]
        changed_ns = watched.stat().st_mtime_ns
        process.send_signal(signal.SIGTERM)
        log = process.communicate(timeout=30)[1]
    statuses = [answer.status_code for answer in answers]
    assert statuses[:8] == [200, 200, 200, 422, 422, 400, 400, 415]
    assert set(statuses[16:]) == {404}
    assert changed_ns == 0, "a file was made in the folder for temporary files"
    written = [line for line in log.splitlines() if line.startswith("WRITES")]
    assert written == []
    assert "DOE" not in log
    for answer in answers:
        assert "DOE" not in answer.headers["x-request-id"]
        if answer.status_code == 422:
            assert "DOE" not in answer.text


def test_the_tell_tale_tells(watched: Path) -> None:
    """A guard of the test above: what it looks for would be seen."""
    import subprocess
    import sys

    code = "import tempfile; tempfile.TemporaryFile(); open('x', 'w')"
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=watched, capture_output=True, text=True, check=True
    )
    assert told.stderr.count("WRITES") >= 2
    assert watched.stat().st_mtime_ns != 0


def test_an_id_that_could_hold_anything_is_not_repeated(tiny_checkpoint: Path) -> None:
    with live(tiny_checkpoint, drain_s="0") as (client, process):
        found = httpx.get(
            f"{client.base_url}/health", headers={"X-Request-ID": "DOE JANE 1970"}
        ).headers["x-request-id"]
        process.send_signal(signal.SIGTERM)
        log = process.communicate(timeout=30)[1]
    assert "DOE" not in found + log
