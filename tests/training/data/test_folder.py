from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from app.xray.contract import ModelContract
from app.xray.errors import DatasetError
from benchmarks.rig.corpus.drawing import add_unseen, write_dataset
from training.data.dataset import load_dataset
from training.data.folder import SPLITS, UNSEEN, find_files, splits_in, splits_there

if TYPE_CHECKING:
    from pathlib import Path

CONTRACT = ModelContract.recipe_of_2022()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return add_unseen(write_dataset(tmp_path / "data"))


def test_a_folder_may_lack_unseen_and_unseen_may_lack_classes(data: Path) -> None:
    assert splits_in(data) == (*SPLITS, UNSEEN)
    classes, found = find_files(data, splits_in(data))
    assert classes == CONTRACT.classes
    assert [label for _, label in found[UNSEEN]] == [0, 0, 1, 1]
    shutil.rmtree(data / "unseen")
    assert splits_in(data) == SPLITS


def test_who_does_not_ask_for_unseen_does_not_get_it(data: Path) -> None:
    assert set(find_files(data)[1]) == set(SPLITS)
    assert set(load_dataset(data, CONTRACT).splits) == set(SPLITS)


def test_unseen_has_no_part_in_the_fingerprint_of_what_was_trained_on(data: Path) -> None:
    with_unseen = load_dataset(data, CONTRACT, splits=splits_in(data))
    assert len(with_unseen.splits[UNSEEN]) == 4
    assert with_unseen.summary == load_dataset(data, CONTRACT).summary


def test_a_class_that_only_unseen_has_is_refused_by_its_name(data: Path) -> None:
    (data / "unseen/MASS").mkdir()
    with pytest.raises(DatasetError, match="unseen/MASS: a class that train, val, test have no"):
        find_files(data, splits_in(data))


def test_an_unseen_without_pictures_is_refused(data: Path) -> None:
    shutil.rmtree(data / "unseen")
    (data / "unseen").mkdir()
    with pytest.raises(DatasetError, match="unseen: no class folder in it"):
        find_files(data, splits_in(data))
    (data / "unseen/COVID").mkdir()
    with pytest.raises(DatasetError, match="unseen/COVID: no pictures in it"):
        find_files(data, splits_in(data))


def test_an_unseen_class_that_cannot_be_read_at_all_is_named(data: Path) -> None:
    for path in (data / "unseen/NORMAL").iterdir():
        path.write_bytes(b"hello")
    with pytest.raises(DatasetError, match="unseen/NORMAL: none of its pictures can be read"):
        load_dataset(data, CONTRACT, splits=splits_in(data))


def test_pictures_in_folders_below_a_class_are_of_that_class(data: Path) -> None:
    shutil.copytree(data / "train/COVID", data / "train/COVID/more/of it")
    shutil.copytree(data / "train/COVID/more", data / "train/COVID/.hidden")
    _, found = find_files(data)
    assert [label for _, label in found["train"]].count(0) == 8
    assert len(load_dataset(data, CONTRACT).splits["train"]) == 16


def test_of_unseen_alone_the_classes_are_those_of_the_model(data: Path) -> None:
    for split in SPLITS:
        shutil.rmtree(data / split)
    assert splits_there(data) == (UNSEEN,)
    assert find_files(data, (UNSEEN,))[0] == ("COVID", "NORMAL")
    found = load_dataset(data, CONTRACT, splits=(UNSEEN,))
    assert found.classes == CONTRACT.classes
    shutil.rmtree(data / "unseen/NORMAL")
    assert find_files(data, (UNSEEN,))[0] == ("COVID",), "a hospital may have one class alone"
    assert len(load_dataset(data, CONTRACT, splits=(UNSEEN,)).splits[UNSEEN]) == 2
    (data / "unseen/MASS").mkdir()
    with pytest.raises(DatasetError, match="unseen/MASS: a class that the model does not know"):
        load_dataset(data, CONTRACT, splits=(UNSEEN,))
