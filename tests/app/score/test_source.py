from __future__ import annotations

from typing import TYPE_CHECKING

import fsspec
import pytest

from app.score.source import list_pictures, read_picture
from app.xray.errors import ScoringError, TooManyBytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `xrays` in the working folder."""
    monkeypatch.chdir(tmp_path)
    for name in (
        "b/2.PNG", "a/1.jpg", "a/10.jpeg", "scan", "c.dcm", "c.dicom",
        "README.md", "manifest.csv", ".hidden.png", ".git/x.png", "a.b/4.png",
    ):  # fmt: skip
        path = tmp_path / "xrays" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path / "xrays"


PICTURES = ["a.b/4.png", "a/1.jpg", "a/10.jpeg", "b/2.PNG", "c.dcm", "c.dicom", "scan"]


@pytest.fixture
def store() -> Iterator[str]:
    """An object store, as far as fsspec shows."""
    files = fsspec.filesystem("memory")
    for name in ("one.png", "deep/two.png", "notes.md"):
        files.pipe(f"/bucket/{name}", name.encode())
    yield "memory://bucket"
    files.rm("/bucket", recursive=True)


def test_a_folder_has_its_pictures_at_any_depth_in_order(archive: Path) -> None:
    found = list(list_pictures("xrays"))
    assert found == [f"xrays/{name}" for name in PICTURES]
    assert list(list_pictures("xrays/")) == found


def test_an_absolute_folder_gives_absolute_paths(archive: Path) -> None:
    assert list(list_pictures(str(archive))) == [str(archive / name) for name in PICTURES]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("xrays/*/*.jp*g", ["a/1.jpg", "a/10.jpeg"]),
        ("xrays/**/[0-9].png", ["a.b/4.png"]),
        ("xrays/a/1?.jpeg", ["a/10.jpeg"]),
        ("xrays/c.d[ci]*m", ["c.dcm", "c.dicom"]),
        ("xrays/[ab]", []),
    ],
    ids=["star", "any depth", "question mark", "brackets", "folders are no pictures"],
)
def test_a_pattern_has_what_it_matches(archive: Path, pattern: str, names: list[str]) -> None:
    if not names:
        with pytest.raises(ScoringError, match="no pictures"):
            list(list_pictures(pattern))
    else:
        assert list(list_pictures(pattern)) == [f"xrays/{name}" for name in names]


def test_a_list_is_taken_as_it_is(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("xrays/b/2.PNG\r\n\nmissing.png\ns3://b/k 1.png\n")
    assert list(list_pictures("list.txt")) == ["xrays/b/2.PNG", "missing.png", "s3://b/k 1.png"]


def test_any_other_file_is_one_picture(archive: Path) -> None:
    assert list(list_pictures("xrays/c.dcm")) == ["xrays/c.dcm"]


def test_an_object_store_has_addresses_that_can_be_read(store: str) -> None:
    found = list(list_pictures(store))
    assert found == ["memory:///bucket/deep/two.png", "memory:///bucket/one.png"]
    assert [read_picture(address, 100) for address in found] == [b"deep/two.png", b"one.png"]
    assert list(list_pictures(f"{store}/*.png")) == ["memory:///bucket/one.png"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nowhere", "no pictures"),
        ("nowhere/*.png", "no pictures"),
        ("list.txt", "No such file"),
        ("unheard-of://bucket", "unheard-of"),
    ],
    ids=["folder", "pattern", "list", "protocol"],
)
def test_what_is_not_there_is_the_operators_to_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ScoringError, match=said):
        list(list_pictures(source))


def test_a_folder_without_a_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "README.md").touch()
    with pytest.raises(ScoringError, match="no pictures"):
        list(list_pictures(str(tmp_path)))


def test_no_more_is_read_than_is_allowed(archive: Path) -> None:
    (archive / "large.png").write_bytes(bytes(101))
    with pytest.raises(TooManyBytes):
        read_picture(str(archive / "large.png"), 100)
    assert len(read_picture(str(archive / "large.png"), 101)) == 101
