from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.training.report import made_up
from training.cli import main
from training.commands.compare import read_answers

if TYPE_CHECKING:
    from pathlib import Path

    from training.evaluation.evaluate import Evaluation


def write_run(folder: Path, found: Evaluation, **settings: object) -> Path:
    folder.mkdir(parents=True)
    found.write(folder)
    if settings:
        (folder / "config.json").write_text(json.dumps({"settings": settings}))
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    """A poor one, and one that is better beyond chance."""
    return (
        write_run(tmp_path / "poor", made_up.evaluate(0, right=2.0), epochs=3, augment={"blur": 0}),
        write_run(
            tmp_path / "good", made_up.evaluate(1, right=60.0), epochs=9, augment={"blur": 1}
        ),
    )


def compare(*arguments: object) -> int:
    return main(["compare", *map(str, arguments)])


def test_runs_are_held_against_the_first_in_pairs_on_one_page(
    runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    third = write_run(tmp_path / "third", made_up.evaluate(2, right=2.0))
    page = tmp_path / "page.html"
    assert compare(*runs, third, "--out", page) == 0
    printed = " ".join(capsys.readouterr().out.split())
    text = page.read_text()
    for words in ("good beside poor", "third beside poor", "Beyond chance good is better in:"):
        assert words in printed
        assert words in text
    assert "recall of PNEUMONIA" in text


def test_a_difference_has_the_sign_of_who_is_better(
    runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = tmp_path / "a.html", tmp_path / "b.html"
    assert compare(*runs, "--out", pages[0]) == 0
    assert compare(*reversed(runs), "--out", pages[1]) == 0
    assert "Beyond chance good is better in:</strong> accuracy" in pages[0].read_text()
    assert "Beyond chance poor is worse in:</strong> accuracy" in pages[1].read_text()


def test_settings_that_differ_are_told(
    runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(*runs, "--out", tmp_path / "page.html") == 0
    printed = capsys.readouterr().out
    assert "Settings that differ" in printed
    assert "augment.blur" in printed


def test_sources_are_those_of_the_manifest_that_is_named(
    runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    files = made_up.evaluate(0).files
    lines = [f"{file},{'near' if index % 2 else 'far'}" for index, file in enumerate(files)]
    (data / "manifest.csv").write_text("\n".join(["file,source", *lines]))
    assert compare(*runs, "--data", data, "--out", tmp_path / "page.html") == 0
    assert "accuracy on near" in (tmp_path / "page.html").read_text()


def test_files_whose_names_are_no_utf_8_are_compared_like_others(tmp_path: Path) -> None:
    found = made_up.evaluate(0)
    odd = os.fsdecode(b"test/COVID/r\xf6ntgen.png")
    found = replace(found, files=(odd, *found.files[1:]))
    one, other = (write_run(tmp_path / name, found) for name in ("one", "other"))
    assert read_answers(one, {}).files[0] == odd
    assert compare(one, other, "--out", tmp_path / "page.html") == 0


def test_a_manifest_in_the_folder_it_is_called_from_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate(("one", "other")):
        write_run(tmp_path / name, made_up.evaluate(number))
    (tmp_path / "manifest.csv").write_text("name,version\nparts,1\n")
    monkeypatch.chdir(tmp_path)
    assert compare("one", "other") == 0


def test_two_runs_of_one_name_are_told_apart(
    runs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(tmp_path / "b/poor", made_up.evaluate(1))
    monkeypatch.chdir(tmp_path)
    assert compare("poor", "b/poor") == 0
    assert "b/poor beside poor" in (tmp_path / "compare.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["poor"], "expected two runs or more", id="one"),
        pytest.param(["poor", "poor"], "named twice", id="the same"),
        pytest.param(["poor", "nowhere"], "predictions.csv: expected what fit", id="no folder"),
        pytest.param(["poor", "empty"], "predictions.csv: expected", id="no answers"),
        pytest.param(["poor", "other"], "other: was not judged on the same", id="other pictures"),
        pytest.param(["poor", "good", "--out", "page.pdf"], "ends in .html", id="a PDF"),
    ],
)
def test_what_cannot_be_compared_is_told(
    runs: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "other", made_up.evaluate(0, split="val"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/predictions.csv").write_text("file,truth,COVID,NORMAL\n")
    assert compare(*arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "compare.html").exists()
