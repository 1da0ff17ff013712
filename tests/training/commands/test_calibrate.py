from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import h5py
import keras
import numpy as np
import pytest

import training.evaluation.precision
from app.xray.checkpoint import read_checkpoint
from app.xray.contract import LowerPrecision, ModelContract
from app.xray.network import build_network
from benchmarks.rig.corpus.drawing import write_dataset
from tests.networks import build_tiny, teach, write_tiny_checkpoint
from training.cli import main
from training.data.dataset import load_dataset
from training.data.leaving_out import find_left_out
from training.network.bf16_weights import to_bf16
from training.network.runner import Runner
from training.recipes.config import FitConfig

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`data` of three sources, `model.h5` trained on it, and a run without each of the sources.

    As `fit` leaves them, but taught in one step.
    """
    root = tmp_path_factory.mktemp("left-out")
    data = write_dataset(root / "data", counts={"train": 9, "val": 6, "test": 3})
    rows = ["file,source"]
    rows += [
        f"{path.relative_to(data)},{'abc'[int(path.stem[-1]) % 3]}"
        for path in sorted(data.glob("*/*/*.png"))
    ]
    (data / "manifest.csv").write_text("\n".join(rows))
    whole = load_dataset(data, ModelContract.recipe_of_2022())
    for name in ("", "a", "b", "c"):
        names = (name,) if name else ()
        dataset = find_left_out(data, names).without(whole)
        keras.utils.set_random_seed(7)
        known = dataset.splits["train"]
        network = teach(build_tiny(keras), known.pixels, known.labels)
        contract = ModelContract.recipe_of_2022().model_copy(update={"dataset": dataset.summary})
        run = root / (f"without-{name}" if name else "model")
        run.mkdir()
        write_tiny_checkpoint(run / "best_model.h5", contract, network=network)
        config = FitConfig(data=data, out=run, leave_out=names)
        document = {"settings": config.model_dump(mode="json"), "dataset": {}, "versions": {}}
        (run / "config.json").write_text(json.dumps(document))
    return root


def calibrate(made: Path, model: Path, *flags: str, data: str = "data") -> int:
    return main(["calibrate", "--model", str(model), "--data", str(made / data), *flags])


@pytest.fixture
def model(made: Path, tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_bytes((made / "model/config.json").read_bytes())
    return shutil.copy(made / "model/best_model.h5", tmp_path / "best_model.h5")


def runs(made: Path, *names: str) -> list[str]:
    return ["--left-out", *(str(made / f"without-{name}") for name in names)]


def test_runs_that_left_sources_out_calibrate_the_model_and_the_file_says_by_which(
    made: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate(made, model, *runs(made, "a", "b", "c")) == 0
    ground = read_checkpoint(model).contract.calibrated_on
    assert ground is not None
    # val of the model, and train and val of the three sources by those that did not know them.
    assert ground.pictures == 18 + 45
    assert ground.sources_left_out == ("a", "b", "c")
    assert ground.split == "train and val"
    assert ground.coverage_asked == 0.95
    assert ground.coverage_found is not None
    printed = capsys.readouterr().out
    assert "without-b: 15 pictures of b, which it did not know" in printed
    assert "Fitted by sources left out (a, b, c): on 63 pictures" in printed
    assert "c / PNEUMONIA" in printed


def test_what_a_run_answers_for_what_it_knows_has_no_part(
    made: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.network.runner import Runner

    counts: list[int] = []
    answer = Runner.run

    def note(self: Runner, pixels: Any) -> Any:
        counts.append(len(pixels))
        return answer(self, pixels)

    monkeypatch.setattr(Runner, "run", note)
    assert calibrate(made, model, *runs(made, "b")) == 0
    # Val by the model, what was left out by the run, then train and test by the model, and probes.
    assert counts[:2] == [18, 15]


def test_on_val_alone_the_file_says_that_only_known_hospitals_were_asked(
    made: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate(made, model) == 0
    ground = read_checkpoint(model).contract.calibrated_on
    assert ground is not None
    assert (ground.split, ground.pictures, ground.sources_left_out) == ("val", 18, ())
    printed = capsys.readouterr().out
    assert "18 pictures of val, known hospitals only" in printed
    assert "it should calibrate on pictures of its own" in printed


def remove(name: str) -> Callable[[Path], None]:
    return lambda run: (run / name).unlink()


def spoil_settings(run: Path) -> None:
    document = json.loads((run / "config.json").read_text())
    document["settings"]["leave_out"] = []
    (run / "config.json").write_text(json.dumps(document))


def spoil_contract(**changes: Any) -> Callable[[Path], None]:
    def spoil(run: Path) -> None:
        path = run / "best_model.h5"
        contract = read_checkpoint(path).contract.model_copy(update=changes)
        with h5py.File(path, "r+") as file:
            contract.write(file)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        pytest.param(spoil_settings, "left no source out", id="knows all"),
        pytest.param(remove("best_model.h5"), "no run that is finished", id="unfinished"),
        pytest.param(remove("config.json"), "expected the config.json", id="no settings"),
        pytest.param(spoil_contract(dataset=None), "was trained on other data", id="other data"),
        pytest.param(spoil_contract(resize="box"), "its resize is box, the model", id="resize"),
        pytest.param(spoil_contract(classes=("A", "B", "C")), "its classes is", id="other classes"),
    ],
)  # fmt: skip
def test_a_run_that_cannot_calibrate_is_refused_and_nothing_is_written(
    made: Path,
    model: Path,
    tmp_path: Path,
    spoil: Callable[[Path], None],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / "run"
    shutil.copytree(made / "without-a", run)
    spoil(run)
    before = model.read_bytes()
    assert calibrate(made, model, *runs(made, "b"), str(run)) == 2
    assert message in capsys.readouterr().err
    assert model.read_bytes() == before


def test_a_run_by_another_recipe_is_told_of(
    made: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(made / "without-a", run)
    document = json.loads((run / "config.json").read_text())
    document["settings"]["epochs"] = 99
    (run / "config.json").write_text(json.dumps(document))
    assert calibrate(made, model, "--left-out", str(run), str(made / "without-b")) == 0
    printed = capsys.readouterr().out
    assert "was trained with another epochs than the model" in printed
    assert printed.count("than the model") == 1


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A hospital's own sample."""
    drawn = write_dataset(tmp_path / "drawn", counts={"train": 1, "val": 8, "test": 1})
    (tmp_path / "own").mkdir()
    shutil.move(drawn / "val", tmp_path / "own/val")
    return tmp_path / "own"


def test_a_hospital_calibrates_on_its_own_sample_and_what_else_the_file_says_stays(
    model: Path, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = read_checkpoint(model).contract
    assert main(["calibrate", "--model", str(model), "--data", str(own)]) == 0
    after = read_checkpoint(model).contract
    fitted = {"temperature", "offsets", "operating_points", "calibrated_on", "known_answers"}
    assert after.model_dump(exclude=fitted) == before.model_dump(exclude=fitted)
    assert set(after.operating_points) == set(after.classes)
    assert after.calibrated_on is not None
    assert after.calibrated_on.split == "a hospital's own sample"
    assert after.calibrated_on.pictures == 24
    printed = capsys.readouterr().out
    assert "24 pictures of a hospital's own sample" in printed
    assert "gate" not in printed


def test_figures_of_what_it_answered_elsewhere_are_taken_out(
    made: Path, model: Path, own: Path
) -> None:
    assert calibrate(made, model) == 0
    before = read_checkpoint(model).contract
    assert {"ece", "brier"} < set(before.metrics)
    assert main(["calibrate", "--model", str(model), "--data", str(own)]) == 0
    after = read_checkpoint(model).contract
    assert after.metrics == {}
    assert after.ood == before.ood
    assert after.known_answers == before.known_answers


def test_runs_left_out_are_not_for_a_sample_of_ones_own(
    made: Path, model: Path, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--model", str(model), "--data", str(own), *runs(made, "a")]
    assert main(["calibrate", *flags]) == 2
    assert "--left-out is for the data of training" in capsys.readouterr().err


def test_a_model_under_wrong_names_is_not_calibrated_and_is_told_the_right_ones(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = shutil.copy(made / "model/best_model.h5", tmp_path / "best_model.h5")
    permuted = ("NORMAL", "PNEUMONIA", "COVID")
    renamed = tmp_path / "data"
    shutil.copytree(made / "data", renamed)
    for split in ("train", "val", "test"):
        for label, name in enumerate(permuted):
            (renamed / split / ("COVID", "NORMAL", "PNEUMONIA")[label]).rename(
                renamed / split / f"{name}-"
            )
        for name in permuted:
            (renamed / split / f"{name}-").rename(renamed / split / name)
    spoil_contract(dataset=None)(tmp_path)
    before = model.read_bytes()
    assert main(["calibrate", "--model", str(model), "--data", str(renamed)]) == 2
    error = capsys.readouterr().err
    assert "is not calibrated: of 18 pictures" in error
    assert "with the outputs named NORMAL,PNEUMONIA,COVID: give the model these names" in error
    assert model.read_bytes() == before


def test_weights_are_rounded_and_what_was_calibrated_stays(
    made: Path, model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert calibrate(made, model, *runs(made, "a", "b")) == 0
    before = read_checkpoint(model)
    cut = LowerPrecision(from_layer="tiny", same_label=0.995, largest_difference=0.02, pictures=6)
    monkeypatch.setattr(training.evaluation.precision, "find_cut", lambda *_: cut)
    out = model.with_name("rounded.h5")
    assert calibrate(made, model, "--bf16-weights-from", "conv_pw_1", "--out", str(out)) == 0
    after = read_checkpoint(out)
    anew = {"known_answers", "metrics", "precisions"}
    assert after.contract.model_dump(exclude=anew) == before.contract.model_dump(exclude=anew)
    assert after.contract.precisions == {"bf16": cut}
    assert after.contract.metrics.keys() == before.contract.metrics.keys()
    assert read_checkpoint(model).sha256 == before.sha256
    kernels = [
        keras.ops.convert_to_numpy(build_network(each).get_layer("conv_pw_1").kernel)
        for each in (before, after)
    ]
    assert [np.array_equal(kernel, to_bf16(kernel)) for kernel in kernels] == [False, True]
    answers = Runner(build_network(after), after.contract).known_answers()
    assert np.array(answers) == pytest.approx(np.array(after.contract.known_answers))
    printed = capsys.readouterr().out
    assert "1 convolutions from conv_pw_1 on have bf16 numbers for weights" in printed
    assert "% of val's labels stay in float32" in printed


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        pytest.param(["conv9"], "conv9: no convolution", id="no-such-layer"),
        pytest.param(["conv_pw_1", "--data", "own"], "has no train split", id="own-sample"),
        pytest.param(["conv_pw_1", "--data", "drawn"], "not the data that", id="other-data"),
    ],
)
def test_weights_that_cannot_be_rounded_are_refused_and_the_file_stays(
    made: Path,
    model: Path,
    own: Path,
    flags: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(own / "val", own.parent / "drawn/val")
    before = model.read_bytes()
    flags = [str(own.parent / flag) if flag in {"own", "drawn"} else flag for flag in flags]
    assert calibrate(made, model, "--bf16-weights-from", *flags) == 2
    assert message in capsys.readouterr().err
    assert model.read_bytes() == before


def test_weights_of_a_keras_file_are_not_rounded(
    made: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zipped = model.with_suffix(".keras")
    model.rename(zipped)
    assert calibrate(made, zipped, "--bf16-weights-from", "conv_pw_1") == 2
    assert "in .h5 files alone" in capsys.readouterr().err
