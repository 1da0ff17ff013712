from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import h5py
import keras
import numpy as np
import pytest

from app.xray.checkpoint import read_checkpoint, write_contract
from app.xray.network import build_network
from benchmarks.rig.corpus.drawing import add_unseen, write_dataset
from tests.networks import build_tiny, write_taught_checkpoint, write_tiny_checkpoint
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


def leak(data: Path) -> None:
    shutil.copy(data / "test/COVID/covid-0.png", data / "train/COVID/[bold]again.png")


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
        pytest.param(
            leak,
            [],
            "test/COVID/covid-0.png, train/COVID/[bold]again.png. `python -m training check",
            id="a-leak",
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


def test_evaluate_writes_what_it_found_where_it_is_told_to(
    data: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--data", str(data), "--model", str(tiny_checkpoint), "--out", str(tmp_path / "a/b")]
    assert main(["evaluate", *flags]) == 0
    assert {path.name for path in (tmp_path / "a/b").iterdir()} >= {
        "examination.json", "check.json", "report.html", "roc.png",
    }  # fmt: skip
    assert not (tmp_path / "a/b/loss.png").exists(), "no history lies beside this checkpoint"
    assert "What it may have learned instead" in capsys.readouterr().out


@pytest.mark.parametrize("split", ["test", "unseen"])
def test_evaluate_needs_no_other_split_than_the_one_it_judges(
    data: Path,
    tiny_checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    split: str,
) -> None:
    add_unseen(data)
    only = tmp_path / "only"
    only.mkdir()
    shutil.move(data / split, only / split)
    flags = ["--data", str(only), "--model", str(tiny_checkpoint), "--split", split]
    assert main(["evaluate", *flags, "--out", str(tmp_path / "out")]) == 0
    document = json.loads((tmp_path / "out/examination.json").read_text())
    assert document["figures"]["pictures"] == (6 if split == "test" else 4)
    assert document["source_probe"] is None
    assert (tmp_path / "out/report.html").exists()


def test_calibrate_writes_a_copy_where_it_is_told_to(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_taught_checkpoint(tmp_path / "model.h5", data)
    before = model.read_bytes()
    out = tmp_path / "calibrated.h5"
    flags = ["--data", str(data), "--model", str(model), "--out", str(out)]
    assert main(["calibrate", *flags]) == 0
    assert model.read_bytes() == before
    assert read_checkpoint(out).contract.operating_points
    assert f"written to {out}; {model} is as it was" in capsys.readouterr().out


def test_calibrate_writes_into_a_keras_zip_as_into_hdf5(data: Path, tmp_path: Path) -> None:
    taught = read_checkpoint(write_taught_checkpoint(tmp_path / "model.h5", data))
    model = tmp_path / "model.keras"
    build_network(taught).save(model)
    write_contract(model, taught.contract, model)
    assert main(["calibrate", "--data", str(data), "--model", str(model)]) == 0
    calibrated = read_checkpoint(model)
    assert calibrated.contract.operating_points
    weights = (build_network(each).get_weights() for each in (taught, calibrated))
    assert all(np.array_equal(*pair) for pair in zip(*weights, strict=True))


@pytest.mark.parametrize(
    "out", ["calibrated.txt", "calibrated.keras", "nowhere/calibrated.h5", "a.weights.h5"]
)
def test_calibrate_refuses_a_wrong_out_before_it_reads_anything(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str
) -> None:
    flags = ["--data", str(data), "--model", "no.h5", "--out", str(tmp_path / out)]
    assert main(["calibrate", *flags]) == 2
    assert "--out: " in capsys.readouterr().err


def test_calibrate_prints_before_and_after(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_taught_checkpoint(tmp_path / "model.h5", data)
    assert main(["calibrate", "--data", str(data), "--model", str(model)]) == 0
    printed = capsys.readouterr().out
    assert "ECE on test" in printed
    assert f"written into {model}" in printed
    assert main(["calibrate", "--data", str(data / "train"), "--model", str(model)]) == 2


def test_evaluate_of_a_checkpoint_that_says_nothing_names_the_command_that_finds_it_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_dataset(tmp_path / "data")
    model = write_tiny_checkpoint(tmp_path / "model.h5", network=build_tiny(keras))
    with h5py.File(model, "r+") as file:
        del file.attrs["cxr_contract"]
    assert main(["evaluate", "--data", str(data), "--model", str(model), "--split", "val"]) == 2
    assert "python -m app.adopt finds it out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("model", "message"), [("nowhere.h5", "no such file"), ("data", "Is a directory")]
)
def test_a_bad_checkpoint_ends_evaluate_with_2(
    model: str, message: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "--data", str(data), "--model", str(tmp_path / model)]) == 2
    assert message in capsys.readouterr().err


def test_check_of_a_clean_folder_ends_with_0_and_writes_where_it_is_run(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    # Drawn pictures are so alike that crops of one another are found among them.
    assert main(["check", "--data", "data", "--skip-crops"]) == 0
    printed = capsys.readouterr().out
    for words in ("no leak in 24 pictures", "PNEUMONIA", "96 x 80", "patients were not compared"):
        assert words in printed
    document = json.loads((tmp_path / "data-check.json").read_text())
    assert document["has_leaks"] is False
    assert document["pictures"] == 24


def test_check_of_a_leaking_folder_ends_with_1_and_names_the_files(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leak(data)
    out = tmp_path / "found.json"
    assert main(["check", "--data", str(data), "--out", str(out), "--skip-crops"]) == 1
    printed = capsys.readouterr().out
    for words in ("LEAK: exact", "test/COVID/covid-0.png", "train/COVID/[bold]again.png", "1 leak"):
        assert words in printed
    assert json.loads(out.read_text())["leaks"][0]["files"] == [
        "test/COVID/covid-0.png",
        "train/COVID/[bold]again.png",
    ]


def test_a_picture_in_many_files_is_shown_with_one_of_each_split_and_class_first(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for index in range(9):
        shutil.copy(data / "train/COVID/covid-0.png", data / f"train/COVID/again-{index}.png")
    shutil.copy(data / "train/COVID/covid-0.png", data / "val/COVID/last.png")
    assert (
        main(["check", "--data", str(data), "--out", str(tmp_path / "f.json"), "--skip-crops"]) == 1
    )
    printed = capsys.readouterr().out
    assert "val/COVID/last.png" in printed
    assert "train/COVID/again-0.png" in printed
    assert "... and 7 more" in printed


def test_oddities_that_are_no_leaks_end_check_with_0(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    break_picture(data)
    shutil.copy(data / "train/NORMAL/normal-0.png", data / "train/NORMAL/again.png")
    (data / "train/COVID/line\nbreak.png").write_bytes(b"")
    assert (
        main(["check", "--data", str(data), "--out", str(tmp_path / "f.json"), "--skip-crops"]) == 0
    )
    printed = capsys.readouterr().out
    for words in ("Unreadable (2)", "One picture twice in a split (1)", r"line\nbreak.png"):
        assert words in printed


def test_check_shows_twenty_of_each_kind_and_writes_all(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for index in range(23):
        (data / f"val/COVID/broken-{index:02}.png").write_bytes(b"hello")
    out = tmp_path / "found.json"
    assert main(["check", "--data", str(data), "--out", str(out), "--skip-crops"]) == 0
    printed = capsys.readouterr().out
    assert "... and 3 more in the JSON file" in printed
    assert "broken-19.png" in printed
    assert "broken-20.png" not in printed
    assert len(json.loads(out.read_text())["unreadable"]) == 23


@pytest.mark.parametrize(
    ("spoil", "flags", "message"),
    [
        pytest.param(remove("val"), [], "data/val: no such folder", id="no-split"),
        pytest.param(empty("test/COVID"), [], "data/test/COVID: no pictures", id="empty-class"),
        pytest.param(nothing, ["--manifest", "no.csv"], "no.csv: expected CSV", id="no-manifest"),
        pytest.param(nothing, ["--out", "found.csv"], "--out: expected a name", id="out-no-json"),
        pytest.param(nothing, ["--out", "a/found.json"], "--out: a: no such", id="out-nowhere"),
        pytest.param(nothing, ["--out", "folder.json"], "cannot be written", id="out-a-folder"),
    ],
)
def test_bad_input_to_check_ends_with_2_and_a_clear_message(
    spoil: Callable[[Path], None],
    flags: list[str],
    message: str,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.json").mkdir()
    spoil(data)
    assert main(["check", "--data", str(data), *flags]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error


@pytest.mark.parametrize("arguments", [[], ["fly"], ["fit"], ["fit", "--data"]], ids=str)
def test_a_wrong_command_ends_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


@pytest.mark.parametrize(
    "words",
    ["check", "fit", "evaluate", "calibrate --model m.h5", "promote run", "search",
     "trial --recipe 2022"],
)  # fmt: skip
def test_a_folder_that_is_not_there_is_told_before_any_library_is_loaded(words: str) -> None:
    code = (
        "import sys; from training.cli import main\n"
        f"code = main([*{words.split()!r}, '--data', 'nowhere'])\n"
        "print(code, sorted({'keras', 'tensorflow', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert ran.stdout.endswith("2 []\n")
    assert "nowhere: no such folder" in ran.stderr


@pytest.mark.parametrize("word", ["check", "fit", "evaluate", "calibrate", "promote", "search"])
def test_a_word_is_explained_without_the_libraries_that_only_its_work_needs(word: str) -> None:
    code = (
        "import sys; from training.cli import build_parser\n"
        f"try: build_parser().parse_args([{word!r}, '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'keras', 'tensorflow', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert "--data" in ran.stdout
    assert ran.stdout.endswith("[]\n")


def test_evaluate_tells_of_hospitals_that_the_checkpoint_never_saw(
    data: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_unseen(data)
    flags = ["--data", str(data), "--model", str(tiny_checkpoint), "--out", str(tmp_path / "out")]
    assert main(["evaluate", *flags]) == 0
    printed = capsys.readouterr().out
    for words in ("At hospitals it never saw", "far / COVID", "farther / NORMAL", "macro AUROC"):
        assert words in printed
        assert words in (tmp_path / "out/report.html").read_text()
    document = json.loads((tmp_path / "out/examination.json").read_text())
    assert document["figures"]["pictures"] == 6
    assert document["unseen"]["pictures"] == 4


def test_evaluate_judges_unseen_alone_where_it_is_asked_to(
    data: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--data", str(data), "--model", str(tiny_checkpoint), "--split", "unseen"]
    assert main(["evaluate", *flags]) == 2
    assert "data/unseen: no such folder" in capsys.readouterr().err
    add_unseen(data)
    assert main(["evaluate", *flags, "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "far / COVID" in printed
    assert "macro" not in printed
    assert "far / COVID" in (tmp_path / "out/report.html").read_text()


def test_calibrate_judges_unseen_and_fits_nothing_to_it(data: Path, tmp_path: Path) -> None:
    model = write_taught_checkpoint(tmp_path / "model.h5", data)
    flags = ["calibrate", "--data", str(data), "--model", str(model), "--out"]
    unseen = add_unseen(data) / "unseen"
    unseen.rename(tmp_path / "elsewhere")
    assert main([*flags, str(tmp_path / "without.h5")]) == 0
    (tmp_path / "elsewhere").rename(unseen)
    assert main([*flags, str(tmp_path / "with.h5")]) == 0
    without, judged = (
        read_checkpoint(tmp_path / name).contract for name in ("without.h5", "with.h5")
    )
    assert set(judged.metrics) - set(without.metrics) == {
        "unseen/far/COVID", "unseen/farther/NORMAL",
    }  # fmt: skip
    assert judged.model_copy(update={"metrics": without.metrics}) == without
