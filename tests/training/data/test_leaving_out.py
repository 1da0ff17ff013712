from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from app.xray.contract import ModelContract
from app.xray.errors import DatasetError
from benchmarks.rig.corpus.drawing import write_dataset
from training.data.dataset import load_dataset
from training.data.leaving_out import find_left_out

if TYPE_CHECKING:
    from pathlib import Path

CONTRACT = ModelContract.recipe_of_2022()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three sources; `nih` has two collections, and only `rural` lacks COVID."""
    root = write_dataset(tmp_path_factory.mktemp("left-out") / "data")
    kinds = {0: "city,", 1: "nih,ozturk", 2: "nih,chestx-ray14 sample", 3: "rural,"}
    rows = ["file,source,collection"]
    for path in sorted(root.glob("*/*/*.png")):
        kind = kinds[int(path.stem[-1])]
        if path.parent.name == "COVID" and kind == "rural,":
            kind = "city,"
        rows.append(f"{path.relative_to(root)},{kind}")
    (root / "manifest.csv").write_text("\n".join(rows))
    return root


def test_the_pictures_of_a_source_are_taken_out_of_train_and_val_and_stay_in_test(
    data: Path,
) -> None:
    whole = load_dataset(data, CONTRACT)
    left_out = find_left_out(data, ["rural"])
    rest, only = left_out.without(whole), left_out.only(whole)
    assert only.files == ("train/NORMAL/normal-3.png", "train/PNEUMONIA/pneumonia-3.png")
    assert only.labels.tolist() == [1, 2]
    assert only.pixels.shape == (2, 224, 224, 3)
    assert len(rest.splits["train"]) == 10
    assert not set(only.files) & set(rest.splits["train"].files)
    assert rest.splits["test"] is whole.splits["test"]
    assert rest.summary.counts == {
        **whole.summary.counts,
        "train": {"COVID": 4, "NORMAL": 3, "PNEUMONIA": 3},
    }
    assert rest.summary.fingerprint == whole.summary.fingerprint


def test_a_collection_of_a_source_is_left_out_by_both_names(data: Path) -> None:
    left_out = find_left_out(data, ["nih:chestx-ray14 sample"])
    assert left_out.files == {
        "train/COVID/covid-2.png",
        "train/NORMAL/normal-2.png",
        "train/PNEUMONIA/pneumonia-2.png",
    }


def test_nothing_is_left_out_where_nothing_is_named(tmp_path: Path, data: Path) -> None:
    whole = load_dataset(data, CONTRACT)
    assert find_left_out(tmp_path, []).without(whole) is whole


@pytest.mark.parametrize(
    ("names", "message"),
    [
        pytest.param(["elsewhere"], "elsewhere: no picture of train or val is of", id="unknown"),
        pytest.param(["NIH"], r"NIH: no picture .* has city, nih, nih:chestx-ray14", id="case"),
        pytest.param(["ozturk"], "ozturk: no picture of train or val", id="a collection alone"),
        pytest.param(["city", "nih"], "no picture of COVID is left to learn from", id="all"),
        pytest.param(["unknown"], "unknown: no picture of train or val", id="no source's name"),
    ],
)
def test_what_cannot_be_left_out_is_refused(data: Path, names: list[str], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        find_left_out(data, names)


def test_without_a_manifest_nothing_can_be_left_out(tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "data")
    with pytest.raises(DatasetError, match=r"nih: to leave out sources, .*manifest\.csv must name"):
        find_left_out(root, ["nih"])


def test_a_class_whose_only_other_pictures_are_broken_is_not_left_to_learn_from(
    tmp_path: Path,
) -> None:
    root = write_dataset(tmp_path / "data")
    rows = ["file,source"]
    for path in sorted(root.glob("*/*/*.png")):
        source = "city" if path.stem.endswith("0") else "nih"
        rows.append(f"{path.relative_to(root)},{source}")
    (root / "manifest.csv").write_text("\n".join(rows))
    (root / "val/COVID/covid-0.png").write_bytes(b"broken")
    left_out = find_left_out(root, ["nih"])
    with pytest.raises(DatasetError, match="no picture of COVID is left to learn from in val"):
        left_out.without(load_dataset(root, CONTRACT))
