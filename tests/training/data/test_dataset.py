from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from app.xray.contract import ModelContract
from app.xray.decode import decode
from app.xray.errors import DatasetError
from app.xray.preprocess import to_pixels
from benchmarks.rig.corpus.dicoms import write_dicom
from benchmarks.rig.corpus.drawing import write_dataset
from training.data.dataset import load_dataset
from training.data.folder import find_files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "data")


def test_classes_are_the_folders_in_alphabetical_order(data: Path) -> None:
    classes, found = find_files(data)
    assert classes == ("COVID", "NORMAL", "PNEUMONIA")
    assert {split: len(files) for split, files in found.items()} == {
        "train": 12,
        "val": 6,
        "test": 6,
    }


def test_pictures_line_up_with_files_and_labels_in_the_order_of_names(
    data: Path, contract: ModelContract
) -> None:
    test = load_dataset(data, contract).splits["test"]
    assert test.files == (
        "test/COVID/covid-0.png",
        "test/COVID/covid-1.png",
        "test/NORMAL/normal-0.png",
        "test/NORMAL/normal-1.png",
        "test/PNEUMONIA/pneumonia-0.png",
        "test/PNEUMONIA/pneumonia-1.png",
    )
    assert test.labels.tolist() == [0, 0, 1, 1, 2, 2]
    for file, pixels in zip(test.files, test.pixels, strict=True):
        assert np.array_equal(pixels, to_pixels(decode((data / file).read_bytes()).image, contract))


def test_only_the_splits_asked_for_need_to_be_there(data: Path, contract: ModelContract) -> None:
    shutil.rmtree(data / "train")
    dataset = load_dataset(data, contract, splits=["test"])
    assert list(dataset.splits) == ["test"]


def test_hidden_files_are_no_pictures(data: Path) -> None:
    (data / "train/COVID/.DS_Store").write_bytes(b"x")
    (data / ".cache").mkdir()
    (data / "train/.cache").mkdir()
    assert len(find_files(data)[1]["train"]) == 12


def test_pictures_in_folders_below_a_class_are_that_class_too(
    data: Path, contract: ModelContract
) -> None:
    below = data / "train/PNEUMONIA/bacteria/2020"
    below.mkdir(parents=True)
    shutil.copy(data / "train/PNEUMONIA/pneumonia-0.png", below / "IM.000002")
    (data / "train/COVID/elsewhere").symlink_to(data / "val/COVID")
    (data / "train/COVID/loop").symlink_to(data / "train/COVID")
    (below / ".hidden").write_bytes(b"x")
    classes, found = find_files(data)
    assert classes == ("COVID", "NORMAL", "PNEUMONIA")
    assert [path.relative_to(data).as_posix() for path, _ in found["train"]][-5:] == [
        "train/PNEUMONIA/bacteria/2020/IM.000002",
        *(f"train/PNEUMONIA/pneumonia-{index}.png" for index in range(4)),
    ]
    assert len(found["train"]) == 12 + 1 + 2
    dataset = load_dataset(data, contract)
    assert dataset.summary.counts["train"]["PNEUMONIA"] == 5
    assert dataset.skipped == ()


def test_a_picture_in_no_class_folder_is_named(data: Path, contract: ModelContract) -> None:
    shutil.copy(data / "train/COVID/covid-0.png", data / "train/stray.png")
    assert load_dataset(data, contract).skipped == (("train/stray.png", "lies in no class folder"),)


def test_an_unreadable_picture_is_skipped_by_name_and_reason(
    data: Path, contract: ModelContract
) -> None:
    (data / "train/NORMAL/notes.txt").write_text("no picture")
    whole = (data / "train/NORMAL/normal-0.png").read_bytes()
    (data / "train/NORMAL/normal-0.png").write_bytes(whole[:300])
    dataset = load_dataset(data, contract)
    assert dict(dataset.skipped) == {
        "train/NORMAL/normal-0.png": "The PNG file is truncated or corrupt.",
        "train/NORMAL/notes.txt": ("The first bytes are those of no JPEG, PNG or DICOM file."),
    }
    assert dataset.summary.counts["train"] == {"COVID": 4, "NORMAL": 3, "PNEUMONIA": 4}
    assert len(dataset.splits["train"]) == 11


def test_strict_ends_at_an_unreadable_picture(data: Path, contract: ModelContract) -> None:
    (data / "val/COVID/covid-0.png").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"val/COVID/covid-0\.png: The first bytes .*--strict"):
        load_dataset(data, contract, strict=True)


def test_the_fingerprint_follows_content_names_and_places(
    data: Path, contract: ModelContract
) -> None:
    def fingerprint() -> str:
        return load_dataset(data, contract).summary.fingerprint

    first = fingerprint()
    assert fingerprint() == first
    moved = (data / "train/COVID/covid-0.png").rename(data / "train/COVID/covid-9.png")
    renamed = fingerprint()
    moved.write_bytes((data / "train/COVID/covid-1.png").read_bytes())
    assert len({first, renamed, fingerprint()}) == 3


def test_dicom_takes_the_same_road(data: Path, contract: ModelContract) -> None:
    picture = data / "train/COVID/covid-0.png"
    levels = np.asarray(decode(picture.read_bytes()).image)
    (data / "train/COVID/covid-8.dcm").write_bytes(write_dicom(levels, syntax="jpeg-ls"))
    (data / "train/COVID/covid-9.dcm").write_bytes(write_dicom(levels, Modality="CT"))
    dataset = load_dataset(data, contract)
    first, *_, last = dataset.splits["train"].pixels[:5]
    assert np.array_equal(first, last)
    ((file, reason),) = dataset.skipped
    assert file == "train/COVID/covid-9.dcm"
    assert "modality is CT" in reason


def test_names_that_are_no_utf_8_are_read_too(data: Path, contract: ModelContract) -> None:
    picture = data / "train/COVID/covid-0.png"
    picture.rename(picture.parent / os.fsdecode(b"M\xfcller.png"))
    assert load_dataset(data, contract).summary.counts["train"]["COVID"] == 4


def test_a_class_whose_name_cannot_be_printed_is_refused(data: Path) -> None:
    for split in ("train", "val", "test"):
        (data / split / "COVID").rename(data / split / os.fsdecode(b"COV\xff"))
    with pytest.raises(DatasetError, match="cannot be printed"):
        find_files(data)


def no_folder(data: Path) -> Path:
    return data / "nowhere"


def no_split(data: Path) -> Path:
    shutil.rmtree(data / "val")
    return data


def empty_class(data: Path) -> Path:
    shutil.rmtree(data / "test/NORMAL")
    (data / "test/NORMAL").mkdir()
    return data


def class_missing_in_one_split(data: Path) -> Path:
    shutil.rmtree(data / "val/PNEUMONIA")
    return data


def no_classes(data: Path) -> Path:
    for split in ("train", "val", "test"):
        shutil.rmtree(data / split)
        (data / split).mkdir()
    return data


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (no_folder, r"nowhere: no such folder; expected .*nowhere/train\|val\|test/CLASS"),
        (no_split, r"data/val: no such folder; expected .*data/train\|val\|test/CLASS"),
        (empty_class, r"data/test/NORMAL: no pictures in it; every class needs at least one"),
        (
            class_missing_in_one_split,
            r"data/val/PNEUMONIA: no such folder, .* stands in train, test",
        ),
        (no_classes, "data/train: found 0 class folders"),
    ],
)
def test_a_folder_of_another_shape_is_told_what_was_expected(
    spoil: object, message: str, data: Path
) -> None:
    with pytest.raises(DatasetError, match=message):
        find_files(spoil(data))  # type: ignore[operator]


def test_a_class_of_which_nothing_can_be_read_is_an_error(
    data: Path, contract: ModelContract
) -> None:
    for path in (data / "test/COVID").iterdir():
        path.write_bytes(b"hello")
    with pytest.raises(DatasetError, match="test/COVID: none of its pictures can be read"):
        load_dataset(data, contract)


def test_other_classes_than_the_models_are_an_error(data: Path) -> None:
    contract = ModelContract.recipe_of_2022(["SICK", "WELL"])
    with pytest.raises(
        DatasetError, match=r"holds the classes COVID, .*; the model knows SICK, WELL"
    ):
        load_dataset(data, contract)
