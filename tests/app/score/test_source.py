from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import fsspec
import pytest

from app.score.source import list_pictures, printable, read_picture
from app.xray.errors import ScoringError, TooManyBytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


DICOM_HEAD = bytes(128) + b"DICM" + bytes(9)
BY_CONTENT = {"scan", "1.2.840.113619.2.5", "CR.1.2.840", "IM.000002", "image.ima"}


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `xrays` in the working folder."""
    monkeypatch.chdir(tmp_path)
    for name in (
        "b/2.PNG", "a/1.jpg", "a/10.jpeg", "scan", "c.dcm", "c.dicom",
        "README.md", "manifest.csv", ".hidden.png", ".git/x.png", "a.b/4.png",
        "1.2.840.113619.2.5", "CR.1.2.840", "IM.000002", "image.ima", "LICENSE", "empty",
    ):  # fmt: skip
        path = tmp_path / "xrays" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(DICOM_HEAD if name in BY_CONTENT else name.encode())
    (tmp_path / "xrays/empty").write_bytes(b"")
    return tmp_path / "xrays"


PICTURES = [
    "1.2.840.113619.2.5", "CR.1.2.840", "IM.000002", "a.b/4.png", "a/1.jpg", "a/10.jpeg",
    "b/2.PNG", "c.dcm", "c.dicom", "image.ima", "scan",
]  # fmt: skip
LEFT_OUT = [".git/x.png", ".hidden.png", "LICENSE", "README.md", "empty", "manifest.csv"]


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


def test_each_file_that_is_left_out_is_told(archive: Path) -> None:
    told: list[str] = []
    list(list_pictures(str(archive), told.append))
    assert told == [str(archive / name) for name in LEFT_OUT]


@pytest.mark.parametrize("name", ["set [1]", "a*b", "is it?"])
def test_a_name_that_looks_like_a_pattern_is_a_name(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "1 [2].png").write_bytes(b"x")
    (found,) = list_pictures(str(tmp_path / name))
    assert read_picture(found, 9) == b"x"
    assert list(list_pictures(found)) == [found]


def test_an_archive_within_a_file_has_addresses_that_can_be_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("deep/one.png", b"1")
        file.writestr("IM0001", DICOM_HEAD)
        file.writestr("notes.md", b"2")
    archive = f"{tmp_path}/a.zip"
    by_pattern = list(list_pictures(f"zip://**/*.png::{archive}"))
    assert by_pattern == [f"zip://deep/one.png::{archive}"]
    assert read_picture(by_pattern[0], 9) == b"1"
    as_folder = list(list_pictures(f"zip://::{archive}"))
    assert as_folder == [f"zip://IM0001::{archive}", f"zip://deep/one.png::{archive}"]
    assert read_picture(as_folder[0], 999) == DICOM_HEAD


def test_an_archive_that_is_none_is_the_operators_to_mend(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"no zip")
    with pytest.raises(ScoringError, match=r"a\.zip"):
        list(list_pictures(f"zip://**::{tmp_path}/a.zip"))


def test_names_that_are_no_utf_8_are_read_and_can_be_printed(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/R\xf6ntgen.png"
    Path(os.fsdecode(path)).write_bytes(b"x")
    (found,) = list_pictures(str(tmp_path))
    assert read_picture(found, 9) == b"x"
    assert printable(found).endswith(r"R\udcf6ntgen.png")


@pytest.mark.parametrize(
    "encode",
    [
        pytest.param(lambda text: text.encode(), id="utf-8"),
        pytest.param(lambda text: text.encode("utf-8-sig"), id="utf-8-with-mark"),
        pytest.param(lambda text: text.encode("utf-16"), id="utf-16"),
        pytest.param(lambda text: b"\xfe\xff" + text.encode("utf-16-be"), id="utf-16-big-endian"),
        pytest.param(lambda text: text.encode("utf-16-le"), id="utf-16-without-mark"),
    ],
)
def test_a_list_may_be_in_any_of_the_usual_encodings(
    encode: Callable[[str], bytes], tmp_path: Path
) -> None:
    (tmp_path / "list.txt").write_bytes(encode("a/1.png\r\nb/Röntgen.png\r\n"))
    assert list(list_pictures(str(tmp_path / "list.txt"))) == ["a/1.png", "b/Röntgen.png"]


def test_a_list_in_latin_1_names_the_files_that_have_those_bytes(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"a.png\nR\xf6ntgen.png\n")
    found = list(list_pictures(str(tmp_path / "list.txt")))
    assert [os.fsencode(name) for name in found] == [b"a.png", b"R\xf6ntgen.png"]


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
