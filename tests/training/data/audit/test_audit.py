from __future__ import annotations

import json
import os
import re
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from app.xray.errors import DatasetError
from benchmarks.rig.corpus.drawing import add_unseen, checkered, draw_radiograph, write_dataset
from tests.training.data.audit.test_crops import crop, film
from training.data.audit.audit import audit
from training.data.audit.leaks import (
    BY_NAME,
    CROP,
    CROP_LABELS,
    EXACT,
    LABELS,
    NAMED_PATIENT,
    NEAR,
    PATIENT,
)
from training.data.collect import PATIENT_IN_NAME
from training.report.document import Table
from training.report.words.audit import describe_oddities

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "data")


def write_manifest(data: Path, *rows: str, header: str = "file,source,patient") -> None:
    (data / "manifest.csv").write_text("\n".join([header, *rows]) + "\n")


def draw_large(path: Path, seed: int = 99) -> Image.Image:
    picture = draw_radiograph(seed, (900, 800), unlike=0.06)
    picture.save(path)
    return picture


def test_a_clean_folder_has_no_leak_and_nothing_odd(data: Path) -> None:
    found = audit(data)
    assert not found.has_leaks
    assert found.pictures == 24
    assert found.counts["train"] == {"COVID": 4, "NORMAL": 4, "PNEUMONIA": 4}
    assert found.leaks == found.look_alikes == found.unreadable == found.featureless == ()
    assert found.duplicates_within_splits == ()
    assert not any(item.flagged for item in (*found.imbalance, *found.traits))
    assert found.manifest is None


def test_the_same_bytes_in_two_splits_are_a_leak(data: Path) -> None:
    shutil.copy(data / "test/COVID/covid-1.png", data / "train/COVID/other [name].png")
    (leak,) = audit(data).leaks
    assert leak.kind == EXACT
    assert leak.files == ("test/COVID/covid-1.png", "train/COVID/other [name].png")
    assert (leak.exact, leak.distance) == (True, 0)


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_a_picture_saved_anew_in_another_split_is_a_leak(
    split: str, factor: float, data: Path
) -> None:
    picture = draw_large(data / "test/NORMAL/large.png")
    size = (round(900 * factor), round(800 * factor))
    picture.resize(size).save(data / split / "NORMAL/small.jpg", quality=50)
    (leak,) = audit(data).leaks
    assert leak.kind == NEAR
    assert leak.files == ("test/NORMAL/large.png", f"{split}/NORMAL/small.jpg")
    assert leak.exact is False
    assert leak.distance is not None
    assert 0 <= leak.distance < 44


def test_the_same_pixels_in_other_bytes_are_near_not_exact(data: Path) -> None:
    picture = Image.open(data / "test/COVID/covid-0.png")
    picture.save(data / "train/COVID/again.png", compress_level=0)
    (leak,) = audit(data).leaks
    assert (leak.kind, leak.distance) == (NEAR, 0)


def test_a_copy_of_a_copy_belongs_to_one_leak(data: Path) -> None:
    picture = draw_large(data / "test/COVID/a.png")
    shutil.copy(data / "test/COVID/a.png", data / "test/COVID/b.png")
    picture.save(data / "val/COVID/c.jpg", quality=50)
    picture.save(data / "train/COVID/d.jpg", quality=70)
    (leak,) = audit(data).leaks
    assert leak.files == (
        "test/COVID/a.png", "test/COVID/b.png", "train/COVID/d.jpg", "val/COVID/c.jpg",
    )  # fmt: skip


@pytest.mark.parametrize("split", ["train", "test"])
def test_one_picture_under_two_labels_is_a_leak_in_whatever_split(split: str, data: Path) -> None:
    shutil.copy(data / "train/COVID/covid-0.png", data / split / "NORMAL/again.png")
    kinds = [leak.kind for leak in audit(data).leaks]
    assert kinds == ([LABELS] if split == "train" else [EXACT, LABELS])


def test_a_near_copy_under_two_labels_is_a_leak(data: Path) -> None:
    draw_large(data / "val/COVID/a.png").save(data / "val/NORMAL/b.jpg", quality=50)
    (leak,) = audit(data).leaks
    assert (leak.kind, leak.files) == (LABELS, ("val/COVID/a.png", "val/NORMAL/b.jpg"))


def test_a_copy_within_split_and_class_is_odd_but_no_leak(data: Path) -> None:
    shutil.copy(data / "train/COVID/covid-0.png", data / "train/COVID/again.png")
    found = audit(data)
    assert not found.has_leaks
    (same,) = found.duplicates_within_splits
    assert same.files == ("train/COVID/again.png", "train/COVID/covid-0.png")
    assert same.exact


def test_even_pictures_are_compared_by_their_bytes_alone(data: Path) -> None:
    checkered(0, 20).save(data / "train/COVID/black.png")
    checkered(70, 90).save(data / "test/COVID/gray.png")
    found = audit(data)
    assert not found.has_leaks
    assert found.featureless == ("test/COVID/gray.png", "train/COVID/black.png")
    shutil.copy(data / "train/COVID/black.png", data / "test/COVID/black.png")
    assert [leak.kind for leak in audit(data).leaks] == [EXACT]


def test_pictures_that_are_only_alike_are_shown_and_no_leak(data: Path) -> None:
    picture = draw_large(data / "test/COVID/a.png")
    width, height = picture.size
    picture.crop((25, 25, width - 25, height - 25)).save(data / "train/COVID/cropped.png")
    found = audit(data)
    assert not found.has_leaks
    (alike,) = found.look_alikes
    assert alike.files == ("test/COVID/a.png", "train/COVID/cropped.png")
    assert 44 <= alike.distance < 72


def test_unreadable_files_are_named_with_the_reason_and_leak_nothing(data: Path) -> None:
    for file in ("train/COVID/empty.png", "test/COVID/empty.png"):
        (data / file).write_bytes(b"")
    whole = (data / "val/COVID/covid-0.png").read_bytes()
    (data / "val/COVID/covid-0.png").write_bytes(whole[:300])
    (data / "val/NORMAL/gone.png").symlink_to(data / "nowhere.png")
    found = audit(data)
    assert dict(found.unreadable) == {
        "train/COVID/empty.png": "The first bytes are those of no JPEG, PNG or DICOM file.",
        "val/COVID/covid-0.png": "The PNG file is truncated or corrupt.",
        "test/COVID/empty.png": "The first bytes are those of no JPEG, PNG or DICOM file.",
    }
    assert not found.has_leaks
    assert found.counts["val"]["COVID"] == 1


def test_a_class_of_unreadable_files_leaves_the_rest_to_be_audited(data: Path) -> None:
    for split in ("train", "val", "test"):
        for file in (data / split / "COVID").iterdir():
            file.write_bytes(b"hello")
    found = audit(data)
    assert [item.label for item in found.classes] == ["NORMAL", "PNEUMONIA"]
    assert [item.ratio for item in found.imbalance] == [None, None, None]
    assert all(item.flagged for item in found.imbalance)
    assert json.dumps(found.document())


def test_a_folder_without_one_readable_file_is_audited_all_the_same(data: Path) -> None:
    for file in data.glob("*/*/*"):
        file.write_bytes(b"hello")
    found = audit(data)
    assert (found.pictures, len(found.unreadable)) == (0, 24)
    assert found.classes == found.traits == found.leaks == ()


@pytest.mark.parametrize(
    ("rows", "leaking"),
    [
        pytest.param(["train/COVID/covid-0.png,a,7", "test/COVID/covid-0.png,a,7"], True, id="one"),
        pytest.param(
            ["train/COVID/covid-0.png,a,7", "val/NORMAL/normal-0.png,a,7"], True, id="two-labels"
        ),
        pytest.param(
            ["./train/COVID/covid-0.png,a,7", "test/COVID/covid-0.png,a,7"], True, id="dot-slash"
        ),
        pytest.param(["train/COVID/covid-0.png,a,7", "test/COVID/covid-0.png,b,7"], False,
                     id="the-same-number-at-two-sources"),
        pytest.param(["train/COVID/covid-0.png,a,7", "train/COVID/covid-1.png,a,7"], False,
                     id="one-split"),
        pytest.param(["train/COVID/covid-0.png,a,", "test/COVID/covid-0.png,a,"], False,
                     id="no-patient-named"),
        pytest.param(["train/COVID/covid-0.png,a", "test/COVID/covid-0.png,a"], False,
                     id="rows-cut-short"),
        pytest.param(["train/COVID/covid-0.png,a,7", "test/COVID/stranger.png,a,7"], False,
                     id="a-file-that-is-not-there"),
    ],
)  # fmt: skip
def test_a_patient_of_one_source_belongs_in_one_split(
    rows: list[str], leaking: bool, data: Path
) -> None:
    write_manifest(data, *rows)
    found = audit(data)
    assert [leak.kind for leak in found.leaks] == [PATIENT] * leaking
    for leak in found.leaks:
        assert len(leak.files) == 2
        assert (leak.source, leak.patient) == ("a", "7")


def test_manifest_and_folder_are_held_against_each_other(data: Path) -> None:
    write_manifest(
        data,
        "train/COVID/covid-0.png,a,1,train,COVID",
        "train/COVID/covid-1.png,a,2,train,NORMAL",
        "train/COVID/covid-2.png,a,3,test,COVID",
        "train/COVID/covid-3.png,a,,,",
        "train/COVID/[gone].png,a,3,train,COVID",
        header="file,source,patient,split,label",
    )
    found = audit(data).manifest
    assert found is not None
    assert found.patients == 3
    assert found.strangers == ("train/COVID/[gone].png",)
    assert found.contradicted == ("train/COVID/covid-1.png", "train/COVID/covid-2.png")
    assert len(found.unnamed) == 20


def test_another_manifest_can_be_named(data: Path, tmp_path: Path) -> None:
    write_manifest(data, "train/COVID/covid-0.png,a,7", "test/COVID/covid-0.png,a,8")
    other = tmp_path / "other.csv"
    other.write_text((data / "manifest.csv").read_text().replace("8", "7"))
    assert not audit(data).has_leaks
    assert audit(data, other).has_leaks


def test_a_manifest_without_patients_is_read_and_said_to_name_none(data: Path) -> None:
    write_manifest(data, "train/COVID/covid-0.png,a", header="file,source")
    found = audit(data)
    assert found.manifest is not None
    assert found.manifest.patients is None


def test_a_column_of_patients_that_is_empty_names_none_either(data: Path) -> None:
    write_manifest(data, "train/COVID/covid-0.png,a,", "test/COVID/covid-0.png,a,")
    found = audit(data)
    assert found.manifest is not None
    assert found.manifest.patients is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"file,source\nx,y\n", "expected the columns file and", id="no-patient"),
        pytest.param(b"name,source,patient\nx,y,z\n", "expected the columns file", id="no-file"),
        pytest.param(b"", r"found \(\)", id="empty"),
        pytest.param("file,source,patient\nx,y,é\n".encode("latin-1"), "UTF-8", id="latin-1"),
        pytest.param(b'file,source,patient\n"' + b"x" * 200_000, "CSV", id="no-csv"),
        pytest.param(None, "expected CSV in UTF-8", id="not-there"),
    ],
)
def test_a_bad_manifest_is_refused_by_name(
    content: bytes | None, message: str, data: Path, tmp_path: Path
) -> None:
    path = tmp_path / "named.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DatasetError, match=rf"named\.csv: .*{message}"):
        audit(data, path)


def as_jpeg(file: Path) -> None:
    Image.open(file).save(file, "JPEG", quality=95)


def in_colour(file: Path) -> None:
    Image.open(file).convert("RGB").save(file)


def twice_as_wide(file: Path) -> None:
    picture = Image.open(file)
    picture.resize((picture.width * 2, picture.height)).save(file)


@pytest.mark.parametrize(
    ("change", "telling"),
    [
        (as_jpeg, {"format"}),
        (in_colour, {"colour mode"}),
        (twice_as_wide, {"width", "width / height"}),
    ],
)
def test_a_class_that_its_files_give_away_is_flagged(
    change: Callable[[Path], None], telling: set[str], data: Path
) -> None:
    for file in data.glob("*/COVID/*"):
        change(file)
    found = audit(data)
    assert {trait.name for trait in found.traits if trait.flagged} == telling
    for trait in found.traits:
        assert trait.chance == pytest.approx(1 / 3)
        assert trait.recognised == pytest.approx(2 / 3 if trait.name in telling else 1 / 3)
    assert not found.has_leaks


def test_the_classes_are_described(data: Path) -> None:
    as_jpeg(data / "train/COVID/covid-0.png")
    twice_as_wide(data / "val/COVID/covid-0.png")
    covid = audit(data).classes[0]
    assert covid.formats == {"PNG": 7, "JPEG": 1}
    assert covid.modes == {"L": 8}
    assert (covid.pictures, covid.width, covid.height) == (8, 96, 80)


@pytest.mark.parametrize(("more", "flagged"), [(8, False), (9, True)])
def test_a_class_of_more_than_three_times_another_is_flagged(
    more: int, flagged: bool, data: Path
) -> None:
    for index in range(more):
        noise = np.random.default_rng(index).integers(0, 255, (40, 40), np.uint8)
        Image.fromarray(noise).save(data / f"train/COVID/more-{index}.png")
    found = {item.split: item for item in audit(data).imbalance}
    assert found["train"].ratio == (4 + more) / 4
    assert found["train"].flagged is flagged
    assert not found["test"].flagged


def test_a_missing_folder_is_refused(data: Path) -> None:
    shutil.rmtree(data / "test/COVID")
    with pytest.raises(DatasetError, match="test/COVID: no such folder"):
        audit(data)


def test_every_picture_is_tracked(data: Path) -> None:
    totals = []

    def track(items, total):  # type: ignore[no-untyped-def]
        totals.append(total)
        return items

    audit(data, track=track)
    assert totals == [24]


def test_the_file_that_is_written_holds_all_that_was_found(data: Path, tmp_path: Path) -> None:
    shutil.copy(data / "test/COVID/covid-0.png", data / "train/COVID/again.png")
    (data / "val/COVID/broken.png").write_bytes(b"hello")
    (data / "val/COVID" / b"\xff.png".decode("utf-8", "surrogateescape")).write_bytes(b"hello")
    write_manifest(data, "train/COVID/gone.png,a,7")
    found = audit(data)
    found.write(tmp_path / "found.json")
    document = json.loads((tmp_path / "found.json").read_text())
    assert document["schema_version"] == 1
    assert document["leaks"] == [
        {
            "kind": "exact duplicate across splits",
            "files": ["test/COVID/covid-0.png", "train/COVID/again.png"],
            "exact": True,
            "distance": 0,
            "source": None,
            "patient": None,
            "agreement": None,
        }
    ]
    assert document["unreadable"][0]["file"] == "val/COVID/broken.png"
    assert document["imbalance"][0] == {"split": "train", "ratio": 1.25, "flagged": False}
    assert document["manifest"]["strangers"] == ["train/COVID/gone.png"]
    assert set(document) == {
        "schema_version", "has_leaks", "pictures", "data", "counts", "leaks",
        "duplicates_within_splits", "look_alikes", "featureless", "unreadable", "imbalance",
        "crops_compared", "patients_by_name",
        "classes", "traits", "manifest",
    }  # fmt: skip


def test_a_file_that_cannot_be_written_is_said_so(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nowhere/found\.json: cannot be written"):
        audit(data).write(tmp_path / "nowhere/found.json")


def test_the_shared_x_rays_do_not_leak_and_ten_planted_files_are_all_named(
    shared: Path, tmp_path: Path
) -> None:
    data = tmp_path / "cxr"
    shutil.copytree(shared / "cxr", data, copy_function=os.symlink)
    planted = {}
    held_back = [
        *sorted(data.glob("test/*/*"))[::60][:5],
        *sorted(data.glob("unseen/*/*"))[::100][:5],
    ]
    for index, file in enumerate(held_back):
        copy = data / "train" / file.parent.name / f"planted-{index}.jpg"
        planted[copy.relative_to(data).as_posix()] = file.relative_to(data).as_posix()
        if index % 2:
            shutil.copy(file, copy)
        else:
            picture = Image.open(file)
            factor = 0.9 if index % 4 else 1.1
            size = (round(picture.width * factor), round(picture.height * factor))
            picture.resize(size).save(copy, quality=50)
    assert len(planted) == 10
    found = audit(data)
    assert found.pictures == 3828 + 10
    assert sum(found.counts["unseen"].values()) == 516
    named = (sorted(leak.files, key=lambda file: file not in planted) for leak in found.leaks)
    assert dict(named) == planted, "and no other one"
    assert sorted(leak.kind for leak in found.leaks) == [EXACT] * 5 + [NEAR] * 5


def test_a_film_of_unseen_in_train_is_a_leak(tmp_path: Path) -> None:
    data = add_unseen(write_dataset(tmp_path / "data"))
    assert audit(data).pictures == 24 + 4
    shutil.copy(data / "unseen/COVID/0.png", data / "train/COVID/again.png")
    (leak,) = audit(data).leaks
    assert leak.files == ("train/COVID/again.png", "unseen/COVID/0.png")


def test_unseen_is_counted_but_neither_weighed_nor_guessed_at(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data")
    before = audit(data)
    found = audit(add_unseen(data))
    assert found.counts["unseen"] == {"COVID": 2, "NORMAL": 2, "PNEUMONIA": 0}
    assert (found.imbalance, found.traits) == (before.imbalance, before.traits)
    classes, *_ = describe_oddities(found)
    assert classes.head[1:5] == ("train", "val", "test", "unseen")
    assert len(classes.foot) == len(classes.head)


def test_a_hospital_of_unseen_that_train_has_too_is_named(tmp_path: Path) -> None:
    data = add_unseen(write_dataset(tmp_path / "data"))
    manifest = data / "manifest.csv"
    assert audit(data).manifest.known_sources == ()
    manifest.write_text(manifest.read_text().replace("covid-0.png,near", "covid-0.png,far"))
    found = audit(data)
    assert found.manifest.known_sources == ("far",)
    titles = [block.title for block in describe_oddities(found) if isinstance(block, Table)]
    assert "Sources of unseen that another split has too (1)" in titles


KAGGLE = ("train/PNEUMONIA/person12_bacteria_3.png", "test/PNEUMONIA/person12_bacteria_4.png")


def rename_like_kaggle(root: Path) -> None:
    for name in KAGGLE:
        split, label, _ = name.split("/")
        first = min((root / split / label).iterdir())
        first.rename(root / name)


def test_patients_are_told_by_file_names_where_no_manifest_names_them(tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "data")
    rename_like_kaggle(root)
    assert audit(root).leaks == ()
    found = audit(root, patient_from=re.compile(NAMED_PATIENT))
    (leak,) = found.leaks
    assert (leak.kind, leak.patient, leak.source) == (PATIENT, "person12", BY_NAME)
    assert leak.files == tuple(sorted(KAGGLE))
    assert found.patients_by_name == 1


def test_a_patient_is_told_by_whichever_group_of_the_pattern_matched(tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "data")
    rename_like_kaggle(root)
    for number, split in enumerate(("train", "val", "test")):
        file = min((root / split / "NORMAL").iterdir())
        file.rename(file.with_name(f"IM-000{number}-0001.png"))
    found = audit(root, patient_from=re.compile(PATIENT_IN_NAME))
    assert [(leak.kind, leak.patient) for leak in found.leaks] == [(PATIENT, "person12")]
    assert found.patients_by_name == 4


def test_a_manifest_that_names_a_patient_is_believed_before_the_name(tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "data")
    rename_like_kaggle(root)
    rows = [f"{name},kaggle,{number}" for number, name in enumerate(KAGGLE)]
    (root / "manifest.csv").write_text("\n".join(["file,source,patient", *rows]))
    found = audit(root, patient_from=re.compile(NAMED_PATIENT))
    assert (found.leaks, found.patients_by_name) == ((), 0)


def test_a_film_cropped_anew_in_another_split_is_a_leak_and_its_cost_is_told(
    tmp_path: Path,
) -> None:
    root = write_dataset(tmp_path / "data", counts={"train": 1, "val": 1, "test": 1})
    whole = film(3)
    whole.save(root / "train/COVID/whole.png")
    crop(0.8)(whole).save(root / "test/NORMAL/cropped.png")
    told: list[str] = []
    found = audit(root, tell=told.append)
    assert {(leak.kind, leak.files) for leak in found.leaks} == {
        (kind, ("test/NORMAL/cropped.png", "train/COVID/whole.png")) for kind in (CROP, CROP_LABELS)
    }
    assert found.crops_compared
    assert "--skip-crops" in told[0]
    assert "pairs by template" in told[1]
    without = audit(root)
    assert (without.leaks, without.crops_compared) == ((), False)
