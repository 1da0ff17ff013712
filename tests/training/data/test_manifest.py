from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from app.xray.errors import DatasetError
from training.data.manifest import read_manifest, read_sources

if TYPE_CHECKING:
    from pathlib import Path


def test_sources_are_read_from_the_manifest(tmp_path: Path) -> None:
    assert read_sources(tmp_path) == {}
    (tmp_path / "manifest.csv").write_text("file,label,source\ntest/A/x.jpg,A,nih\n")
    assert read_sources(tmp_path) == {"test/A/x.jpg": "nih"}


def test_a_manifest_out_of_a_spreadsheet_is_read_and_gaps_are_unknown(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("\ufefffile,source\na.png,nih\nb.png\nc.png,\n")
    assert read_sources(tmp_path) == {"a.png": "nih", "b.png": "unknown", "c.png": "unknown"}


def test_a_manifest_in_another_encoding_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_bytes("file,source\na.png,Zürich\n".encode("latin-1"))
    with pytest.raises(DatasetError, match=r"manifest\.csv: expected CSV in UTF-8"):
        read_sources(tmp_path)


def test_a_manifest_without_the_two_columns_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("name,hospital\n")
    with pytest.raises(DatasetError, match=r"manifest\.csv: expected the columns file and source"):
        read_sources(tmp_path)


def test_a_quote_that_is_never_closed_is_an_error_not_the_rest_of_the_file(tmp_path: Path) -> None:
    rows = 'file,source,patient\na.png,nih,1\n"b.png,nih,2\nc.png,nih,1\n'
    (tmp_path / "manifest.csv").write_text(rows)
    with pytest.raises(DatasetError, match=r"manifest\.csv: expected CSV"):
        read_manifest(tmp_path)
