from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import h5py
import keras
import pytest

from tests.drawing import write_dataset
from tests.networks import build_tiny, write_tiny_checkpoint
from training.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "data")


def remove(place: str) -> Callable[[Path], None]:
    return lambda data: shutil.rmtree(data / place)


def empty(place: str) -> Callable[[Path], None]:
    def spoil(data: Path) -> None:
        shutil.rmtree(data / place)
        (data / place).mkdir()

    return spoil


def break_picture(data: Path) -> None:
    (data / "train/COVID/covid-0.png").write_bytes(b"hello")


def nothing(_: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("spoil", "flags", "message"),
    [
        pytest.param(remove("val"), [], "data/val: no such folder", id="no-split"),
        pytest.param(empty("test/COVID"), [], "data/test/COVID: no pictures", id="empty-class"),
        pytest.param(
            remove("val/COVID"), [], "data/val/COVID: no such folder", id="class-missing-in-a-split"
        ),
        pytest.param(
            break_picture, ["--strict"], "data/train/COVID/covid-0.png: The first", id="unreadable"
        ),
        pytest.param(
            nothing,
            ["--weights", "tiny.weights.h5"],
            "tiny.weights.h5: expected MobileNet's weights",
            id="weights-of-the-wrong-shape",
        ),
        pytest.param(
            nothing, ["--weights", "no.h5"], "no.h5: expected MobileNet's", id="no-such-weights"
        ),
        pytest.param(nothing, ["--epochs", "0"], "--epochs: Input should be greater", id="epochs"),
        pytest.param(nothing, ["--batch-size", "-1"], "--batch-size: Input", id="batch-size"),
        pytest.param(nothing, ["--learning-rate", "nan"], "--learning-rate: Input", id="rate"),
        pytest.param(nothing, ["--learning-rate", "inf"], "--learning-rate: Input", id="rate-inf"),
        pytest.param(nothing, ["--learning-rate", "2"], "--learning-rate: Input", id="rate-high"),
    ],
)
def test_bad_input_to_fit_ends_with_2_a_clear_message_and_nothing_written(
    spoil: Callable[[Path], None],
    flags: list[str],
    message: str,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    build_tiny(keras).save_weights("tiny.weights.h5")
    spoil(data)
    code = main(
        ["fit", "--data", str(data), "--weights", "none", "--out", str(tmp_path / "run"), *flags]
    )
    assert code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_a_run_is_not_written_over(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/history.csv").write_text("of last week")
    assert main(["fit", "--data", str(data), "--out", str(tmp_path / "run")]) == 2
    assert "run: holds something already" in capsys.readouterr().err
    assert (tmp_path / "run/history.csv").read_text() == "of last week"


def test_a_run_is_not_written_into_its_own_data(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", "--data", str(data), "--out", str(data / "train/RUN")]) == 2
    assert "lies in the data" in capsys.readouterr().err
    assert not (data / "train/RUN").exists()


def test_evaluate_prints_the_figures(
    data: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "--data", str(data), "--model", str(tiny_checkpoint)]) == 0
    printed = capsys.readouterr().out
    for figure in ("accuracy", "macro F1", "macro AUROC", "ECE", "95 % interval", "PNEUMONIA"):
        assert figure in printed


def test_evaluate_takes_the_folders_classes_where_the_checkpoint_carries_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classes = ("MASS", "NODULE", "NORMAL", "[b] OTHER")
    data = write_dataset(tmp_path / "data", classes=classes)
    model = write_tiny_checkpoint(tmp_path / "model.h5", network=build_tiny(keras, classes=4))
    with h5py.File(model, "r+") as file:
        del file.attrs["cxr_contract"]
    assert main(["evaluate", "--data", str(data), "--model", str(model), "--split", "val"]) == 0
    printed = capsys.readouterr().out
    assert "NODULE" in printed
    assert "[b] OTHER" in printed


@pytest.mark.parametrize(
    ("model", "message"), [("nowhere.h5", "no such file"), ("data", "NAME.h5")]
)
def test_a_bad_checkpoint_ends_evaluate_with_2(
    model: str, message: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "--data", str(data), "--model", str(tmp_path / model)]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["fly"], ["fit"], ["fit", "--data"]], ids=str)
def test_a_wrong_command_ends_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
