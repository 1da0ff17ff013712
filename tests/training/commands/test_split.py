from __future__ import annotations

import csv
import os
import shutil
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from app.xray.contract import ModelContract
from benchmarks.rig.corpus.drawing import draw_radiograph
from training.cli import main
from training.data.audit.audit import audit
from training.data.dataset import load_dataset
from training.data.folder import SPLITS

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = ("COVID", "NORMAL", "PNEUMONIA")


def draw(folder: Path, names: list[str], seed: int) -> None:
    folder.mkdir(parents=True)
    for index, name in enumerate(names):
        draw_radiograph(1000 * seed + index, (64, 64), unlike=0.06).save(folder / name)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder a class, of ten patients with two pictures each; one picture lies deeper."""
    root = tmp_path / "clinic"
    for seed, label in enumerate(CLASSES):
        first = 10 * seed
        draw(
            root / label,
            [f"person{first + n // 2}_virus_{n}.png" for n in range(20)],
            seed,
        )
    (root / "COVID/more").mkdir()
    shutil.move(root / "COVID/person0_virus_0.png", root / "COVID/more/person0_virus_0.png")
    (root / "NORMAL/notes.txt").write_text("not a picture")
    return root


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def split(*arguments: object) -> int:
    return main(["split", *map(str, arguments)])


def test_a_folder_a_class_becomes_one_that_training_takes(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert split(source, "--out", out) == 0
    dataset = load_dataset(out, ModelContract.recipe_of_2022(CLASSES))
    assert sum(map(len, dataset.splits.values())) == 60
    for found in dataset.splits.values():
        counts = Counter(found.labels.tolist())
        assert max(counts.values()) - min(counts.values()) <= 2
    assert len(dataset.splits["train"]) in range(38, 47)
    found = audit(out)
    assert found.manifest is not None
    assert found.manifest.patients == 30
    assert not found.has_leaks
    printed = capsys.readouterr().out
    assert "left out: 1 file: notes.txt" in printed
    assert "no patient is known" not in printed


def test_a_patients_pictures_stay_together(source: Path, tmp_path: Path) -> None:
    assert split(source, "--out", tmp_path / "out", "--by", "patient") == 0
    splits: dict[str, set[str]] = {}
    for row in rows(tmp_path / "out"):
        assert row["patient"].startswith("person")
        assert row["source"] == "clinic"
        splits.setdefault(row["patient"], set()).add(row["split"])
    assert len(splits) == 30
    assert all(len(found) == 1 for found in splits.values())


def test_pictures_are_links_and_the_source_is_as_it_was(source: Path, tmp_path: Path) -> None:
    before = sorted(source.rglob("*"))
    assert split(source, "--out", tmp_path / "out") == 0
    links = list((tmp_path / "out").glob("*/*/*"))
    assert len(links) == 60
    assert all(path.is_symlink() and source in path.resolve().parents for path in links)
    assert sorted(source.rglob("*")) == before


def test_the_same_seed_gives_the_same_and_another_another(source: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert split(source, "--out", tmp_path / name, "--seed", seed) == 0
    assert rows(tmp_path / "a") == rows(tmp_path / "b")
    assert rows(tmp_path / "a") != rows(tmp_path / "c")


def test_copies_of_one_file_stay_together_whatever_they_are_called(
    source: Path, tmp_path: Path
) -> None:
    for index in range(9):
        copy = source / "COVID" / f"person{90 + index}_virus_{index}.png"
        shutil.copy(source / "COVID/person1_virus_2.png", copy)
    assert split(source, "--out", tmp_path / "out", "--by", "picture") == 0
    assert not [leak for leak in audit(tmp_path / "out").leaks if leak.exact]


def test_without_val_a_part_of_train_becomes_val_and_test_stays(
    source: Path, tmp_path: Path
) -> None:
    kaggle = tmp_path / "kaggle"
    for label in CLASSES:
        (kaggle / "test" / label).mkdir(parents=True)
        for name in sorted((source / label).glob("*.png"))[-4:]:
            shutil.move(name, kaggle / "test" / label / name.name)
    shutil.move(source, kaggle / "train")
    assert split(kaggle, "--out", tmp_path / "out") == 0
    counts = Counter(row["split"] for row in rows(tmp_path / "out"))
    assert counts["test"] == 12
    assert counts["val"] in range(6, 12)
    tested = {row["file"].split("/")[2] for row in rows(tmp_path / "out") if row["split"] == "test"}
    assert tested == {path.name for path in kaggle.glob("test/*/*")}


@pytest.fixture
def table(source: Path, tmp_path: Path) -> Path:
    """A CSV beside pictures that all lie in one folder."""
    pictures = tmp_path / "flat/images"
    pictures.mkdir(parents=True)
    lines = ["Image Index,Finding Labels,Patient ID,Site"]
    for path in sorted(source.rglob("*.png")):
        label = path.relative_to(source).parts[0]
        number = path.name.split("_")[0].removeprefix("person")
        shutil.move(path, pictures / path.name)
        lines.append(f"{path.name},{label},{number},{'east' if int(number) % 2 else 'west'}")
    (tmp_path / "flat/labels.csv").write_text("\n".join(lines))
    return tmp_path / "flat/labels.csv"


def test_pictures_beside_a_csv_are_laid_out_by_its_columns(table: Path, tmp_path: Path) -> None:
    assert split("--csv", table, "--out", tmp_path / "out") == 0
    found = rows(tmp_path / "out")
    assert len(found) == 60
    assert {row["label"] for row in found} == set(CLASSES)
    assert len({row["patient"] for row in found}) == 30
    assert Counter(row["source"] for row in found) == {"east": 30, "west": 30}
    for part in SPLITS:  # each source is spread alike
        sources = Counter(row["source"] for row in found if row["split"] == part)
        assert abs(sources["east"] - sources["west"]) <= 4


def test_a_table_may_be_split_twice_within_its_own_folder(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(table.parent)
    assert split("--csv", table.name, "--out", "one") == 0
    assert split("--csv", table.name, "--out", "two") == 0
    assert rows(table.parent / "one") == rows(table.parent / "two")
    links = (table.parent / "two").glob("*/*/*")
    assert {path.resolve().parent.name for path in links} == {"images"}


def test_columns_may_be_named_and_endings_left_out(table: Path, tmp_path: Path) -> None:
    text = table.read_text().replace("Image Index", "what").replace(".png,", ",")
    table.write_text(text)
    assert split("--csv", table, "--out", tmp_path / "out") == 2
    assert split("--csv", table, "--out", tmp_path / "out", "--file-column", "what") == 0
    assert len(rows(tmp_path / "out")) == 60


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["nowhere"], "nowhere: no such folder", id="no folder"),
        pytest.param([], "expected a folder, SOURCE, or --csv", id="nothing"),
        pytest.param(["--csv", "nowhere.csv"], "nowhere.csv: expected CSV", id="no table"),
        pytest.param(["clinic/COVID"], "two classes or more", id="one class"),
        pytest.param(
            ["clinic", "--by", "patient", "--patient-from", "zzz"], "no patient is known",
            id="no patients",
        ),
        pytest.param(["clinic", "--out", "clinic/out"], "lies in clinic", id="into itself"),
        pytest.param(["clinic", "--out", "."], "holds something already", id="taken"),
    ],
)  # fmt: skip
def test_what_cannot_be_split_is_told_and_nothing_is_written(
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    flags = [] if "--out" in arguments else ["--out", "out"]
    assert split(*arguments, *flags) == 2
    assert message in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_class_of_too_few_patients_is_told_by_its_name(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in sorted((source / "NORMAL").glob("*.png"))[4:]:
        path.unlink()
    assert split(source, "--out", tmp_path / "out") == 2
    assert "NORMAL: no picture of it comes into" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("word", ["check", "fit", "evaluate", "calibrate", "search", "trial"])
def test_a_wrong_layout_is_answered_with_this_command(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    flags = {
        "calibrate": ["--model", str(tmp_path / "m.h5")], "trial": ["--recipe", "2022"],
    }.get(word, [])  # fmt: skip
    assert main([word, "--data", str(source), *flags]) == 2
    assert f"python -m training split {source} --out DIR" in capsys.readouterr().err


def test_a_file_whose_name_is_no_utf_8_is_named_and_nothing_is_written(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = source / "COVID/person1_virus_2.png"
    picture.rename(picture.with_name(os.fsdecode(b"r\xf6ntgen.png")))
    assert split(source, "--out", tmp_path / "out") == 2
    assert r"r\udcf6ntgen.png': its name is no UTF-8; rename it" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
