from __future__ import annotations

import csv
import io
import json
import shutil
from typing import TYPE_CHECKING, Any, NamedTuple

import h5py
import keras
import numpy as np
import pytest
from rich.console import Console

import training.data.dataset
import training.evaluation.precision
import training.network.device
import training.network.mobilenet
from app.xray.checkpoint import read_checkpoint
from app.xray.contract import LowerPrecision
from app.xray.decode import decode
from app.xray.errors import DatasetError
from app.xray.network import build_network
from benchmarks.rig.corpus.drawing import add_unseen, write_dataset
from tests.bounds import TINY_PROBABILITIES
from tests.networks import build_tiny
from training.commands.fit import fit
from training.commands.judge import Judge
from training.data.audit.audit import audit
from training.recipes.config import FitConfig
from training.train.sampling import class_weights

if TYPE_CHECKING:
    from pathlib import Path

    from training.evaluation.examine import Examination


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "data")


def run(data: Path, out: Path, **settings: Any) -> tuple[Examination, str]:
    """Train for two epochs; gives what was found and what was printed."""
    printed = io.StringIO()
    config = FitConfig(data=data, out=out, weights="none", epochs=2, batch_size=4, **settings)
    return fit(config, Console(file=printed, width=120)), printed.getvalue()


class Finished(NamedTuple):
    """A run on pictures of which one is broken, and all that may be asked of it."""

    data: Path
    out: Path
    examination: Examination
    printed: str
    decoded: list[bytes]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Runs take seconds each: this one is for all tests that only look at what one leaves."""
    folder = tmp_path_factory.mktemp("finished")
    data = write_dataset(folder / "data")
    (data / "train/COVID/broken.png").write_bytes(b"hello")
    decoded: list[bytes] = []

    def note(data: bytes) -> Any:
        decoded.append(data)
        return decode(data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.data.dataset, "decode", note)
        examination, printed = run(data, folder / "run", seed=21)
    return Finished(data, folder / "run", examination, printed, decoded)


def test_a_run_leaves_every_file_that_is_promised(finished: Finished) -> None:
    assert {path.name for path in finished.out.iterdir()} == {
        "best_model.h5",
        "history.csv",
        "config.json",
        "loss.png",
        "accuracy.png",
        "classification_report.txt",
        "classification_report.json",
        "confusion_matrix.png",
        "confusion_matrix_normalised.png",
        "roc.png",
        "predictions.csv",
        "examination.json",
        "check.json",
        "reliability.png",
        "report.html",
    }
    rows = list(csv.DictReader((finished.out / "history.csv").read_text().splitlines()))
    assert len(rows) == 2
    assert set(rows[0]) == {
        "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate",
    }  # fmt: skip
    assert "epoch  2/2" in finished.printed
    assert len(finished.examination.evaluation.files) == 6


def test_the_checkpoint_carries_the_contract_of_the_run(finished: Finished) -> None:
    contract = read_checkpoint(finished.out / "best_model.h5").contract
    assert contract.classes == ("COVID", "NORMAL", "PNEUMONIA")
    assert contract.metrics == finished.examination.metrics
    assert contract.ood is not None
    assert set(contract.operating_points) == set(contract.classes)
    assert contract.dataset is not None
    assert contract.dataset.counts["train"] == {"COVID": 4, "NORMAL": 4, "PNEUMONIA": 4}
    assert contract.trained_at is not None
    assert {"python", "keras", "numpy", "pillow", "tensorflow"} <= set(contract.versions)
    with h5py.File(finished.out / "best_model.h5") as file:
        assert "optimizer_weights" not in file


def test_the_config_records_settings_versions_data_and_what_was_skipped(
    finished: Finished,
) -> None:
    document = json.loads((finished.out / "config.json").read_text())
    assert document["settings"]["seed"] == 21
    assert document["settings"]["augment"]["rotation_degrees"] == 7
    assert document["versions"]["keras"] == keras.__version__
    assert len(document["dataset"]["fingerprint"]) == 64
    assert list(document["skipped"]) == ["train/COVID/broken.png"]
    assert "skipped train/COVID/broken.png: The first bytes are those of no" in finished.printed


def leak(data: Path) -> None:
    shutil.copy(data / "test/COVID/covid-0.png", data / "train/COVID/again.png")


def test_a_leaking_set_is_refused_before_anything_is_written(data: Path, tmp_path: Path) -> None:
    leak(data)
    expected = (
        r"data: 1 leak: exact .* test/COVID/covid-0\.png, train/COVID/again\.png.*--allow-leaks"
    )
    with pytest.raises(DatasetError, match=expected):
        run(data, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_of_many_leaks_the_refusal_names_the_first_few(data: Path, tmp_path: Path) -> None:
    for label in ("COVID", "NORMAL"):
        shutil.copytree(data / "test" / label, data / "train" / label, dirs_exist_ok=True)
        for index in range(2):
            name = f"{label.lower()}-{index}.png"
            shutil.copy(data / "val" / label / name, data / "train" / label / f"val-{name}")
    with pytest.raises(DatasetError, match="data: 8 leaks: ") as refused:
        run(data, tmp_path / "run")
    assert str(refused.value).count("exact duplicate") == 3


def test_a_patient_in_two_splits_is_refused_too(data: Path, tmp_path: Path) -> None:
    (data / "manifest.csv").write_text(
        "file,source,patient\ntrain/COVID/covid-0.png,clinic,7\ntest/COVID/covid-0.png,clinic,7\n"
    )
    with pytest.raises(DatasetError, match=r"patient in two splits \(patient clinic 7\): test"):
        run(data, tmp_path / "run")


def test_leaks_that_are_allowed_are_shown_and_recorded(data: Path, tmp_path: Path) -> None:
    leak(data)
    _, printed = run(data, tmp_path / "run", allow_leaks=True)
    assert "LEAK: exact duplicate across splits (1)" in printed
    assert "1 leak in 25 pictures" in printed
    assert json.loads((tmp_path / "run/check.json").read_text())["has_leaks"] is True
    assert json.loads((tmp_path / "run/config.json").read_text())["settings"]["allow_leaks"] is True


def test_a_clean_set_is_said_to_be_clean_and_recorded(finished: Finished, tmp_path: Path) -> None:
    assert "no leak in 24 pictures" in finished.printed
    document = json.loads((finished.out / "check.json").read_text())
    audit(finished.data).write(tmp_path / "again.json")
    assert document == json.loads((tmp_path / "again.json").read_text())
    assert [item["file"] for item in document["unreadable"]] == ["train/COVID/broken.png"]


def test_every_picture_is_decoded_once(finished: Finished) -> None:
    files = [path.read_bytes() for path in finished.data.glob("*/*/*.png")]
    assert sorted(finished.decoded) == sorted(files)


def test_the_same_seed_gives_the_same_numbers(finished: Finished, tmp_path: Path) -> None:
    for name, seed in (("again", 21), ("other", 22)):
        run(finished.data, tmp_path / name, seed=seed)

    def numbers(out: Path) -> str:
        return "".join((out / file).read_text() for file in ("history.csv", "predictions.csv"))

    assert numbers(tmp_path / "again") == numbers(finished.out)
    assert numbers(tmp_path / "other") != numbers(finished.out)


@pytest.mark.parametrize(
    ("labels", "weights"),
    [
        pytest.param([0, 1, 2, 0, 1, 2], None, id="even"),
        pytest.param([0, 0, 0, 1], {0: 4 / 6, 1: 2.0}, id="uneven"),
    ],
)
def test_uneven_classes_weigh_the_same_in_all(
    labels: list[int], weights: dict[int, float] | None
) -> None:
    assert class_weights(np.array(labels)) == pytest.approx(weights)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(
            {"head_epochs": 2, "schedule": "cosine", "warmup_epochs": 1},
            id="head first, then along a cosine with warm-up",
        ),
        pytest.param(
            {"average": 0.5, "keep": "last", "source_balance": 1.0, "mixup": 0.2},
            id="averaged weights, drawn by source, and mixed",
        ),
        pytest.param(
            {"frozen_statistics": True, "backbone_rate": 0.1, "interpolation": "lanczos"},
            id="frozen statistics, resized otherwise",
        ),
        pytest.param({"label_smoothing": 0.1, "weight_decay": 0.01}, id="held short"),
        pytest.param({"bf16_weights_from": "conv_pw_1"}, id="weights rounded"),
    ],
)
def test_each_way_to_train_ends_in_a_checkpoint_that_is_served_as_it_was_trained(
    data: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    examination, _ = run(data, tmp_path / "run", **settings)
    checkpoint = read_checkpoint(tmp_path / "run/best_model.h5")
    assert checkpoint.contract.resize == settings.get("interpolation", "nearest")
    written = json.loads((tmp_path / "run/config.json").read_text())["settings"]
    assert {name: written[name] for name in settings} == settings
    again = Judge(checkpoint.path, data, ["test"], Console(quiet=True)).evaluate("test")
    assert again.raw == pytest.approx(examination.evaluation.raw, abs=TINY_PROBABILITIES)


def test_the_layer_from_which_bf16_will_do_stands_in_the_contract(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = LowerPrecision(from_layer="tiny", same_label=0.995, largest_difference=0.02, pictures=6)
    monkeypatch.setattr(training.evaluation.precision, "find_cut", lambda *_: cut)
    run(data, tmp_path / "run")
    assert read_checkpoint(tmp_path / "run/best_model.h5").contract.precisions == {"bf16": cut}


def test_what_was_trained_in_mixed_precision_is_exported_in_float32(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(classes: int, *, precision: str, **_: Any) -> Any:
        assert precision == "mixed_float16"
        keras.config.set_dtype_policy(precision)
        try:
            return build_tiny(keras, classes)
        finally:
            keras.config.set_dtype_policy("float32")

    monkeypatch.setattr(training.network.device, "has_gpu", lambda: True)
    monkeypatch.setattr(training.network.mobilenet, "build_mobilenet", build)
    run(data, tmp_path / "run", average=0.5, backbone_rate=0.5)
    checkpoint = read_checkpoint(tmp_path / "run/best_model.h5")
    assert "float16" not in json.dumps(build_network(checkpoint).get_config())


def test_unseen_is_judged_but_changes_nothing_of_what_is_trained(
    data: Path, tmp_path: Path
) -> None:
    without, _ = run(data, tmp_path / "without")
    found, printed = run(add_unseen(data, with_manifest=False), tmp_path / "with")
    assert "no leak in 28 pictures" in printed
    histories = [(tmp_path / name / "history.csv").read_text() for name in ("without", "with")]
    assert histories[0] == histories[1]
    assert found.evaluation.contract == without.evaluation.contract
    assert without.unseen is None
    assert found.unseen is not None
    assert len(found.unseen.files) == 4
    assert "At hospitals it never saw" in (tmp_path / "with/report.html").read_text()


def test_a_film_of_unseen_in_train_ends_fit_before_it_trains(data: Path, tmp_path: Path) -> None:
    add_unseen(data)
    shutil.copy(data / "unseen/COVID/0.png", data / "train/COVID/again.png")
    with pytest.raises(DatasetError, match=r"1 leak: .*train/COVID/again\.png, unseen/COVID/0"):
        run(data, tmp_path / "run")
    assert not (tmp_path / "run").exists()
