from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import keras
import pytest
from rich.console import Console

import training.evaluation.examine
import training.network.mobilenet
import training.report.folder
from app.xray.checkpoint import file_sha256
from app.xray.contract import ModelContract
from app.xray.errors import TrainingError
from benchmarks.rig.corpus.drawing import write_dataset
from tests.networks import build_tiny
from training.cli import main
from training.commands.fit import fit
from training.data.dataset import load_dataset
from training.recipes.config import FitConfig
from training.report.folder import begin_folder
from training.train.callbacks import EpochBars
from training.train.state import State

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EPOCHS = 3
CONTRACT = ModelContract.recipe_of_2022()


@pytest.fixture(scope="module", autouse=True)
def tiny_network() -> Iterator[None]:
    def build(classes: int, **_: Any) -> Any:
        # A process of its own would number its layers from 0, too.
        keras.utils.clear_session(free_memory=False)
        return build_tiny(keras, classes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.network.mobilenet, "build_mobilenet", build)
        patch.setenv("SOURCE_DATE_EPOCH", "1700000000")
        # What takes most of a run's time here, and is the same whatever the weights went through.
        patch.setattr(training.evaluation.examine, "judge_gate", lambda *_: None)
        patch.setattr(training.report.folder, "plot_evaluation", lambda *_: None)
        patch.setattr(training.report.folder, "write_report", lambda *_, **__: None)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("resume") / "data")


def run(data: Path, out: Path, *, resume: bool = False, **settings: Any) -> str:
    printed = io.StringIO()
    config = FitConfig(
        **{
            "data": data, "out": out, "weights": "none", "epochs": EPOCHS, "batch_size": 4,
            **settings,
        }
    )  # fmt: skip
    fit(config, Console(file=printed, width=120), resume=resume)
    return printed.getvalue()


def stop_after_each_epoch(patch: pytest.MonkeyPatch) -> None:
    def stop(self: State, epoch: int, logs: Any = None) -> None:
        write(self, epoch, logs)
        raise KeyboardInterrupt

    write = State.on_epoch_end
    patch.setattr(State, "on_epoch_end", stop)


def stop_within_an_epoch(patch: pytest.MonkeyPatch, after: int) -> None:
    steps = iter(range(after))

    def stop(self: EpochBars, batch: int, logs: Any = None) -> None:
        if next(steps, None) is None:
            raise KeyboardInterrupt

    patch.setattr(EpochBars, "on_train_batch_end", stop)


AVERAGED = {
    "head_epochs": 2, "schedule": "cosine", "warmup_epochs": 1, "average": 0.5, "keep": "last",
    "backbone_rate": 0.5,
}  # fmt: skip
PLATEAU = {
    "epochs": 2, "plateau_patience": 1, "plateau_min_delta": 10.0, "learning_rate": 1e-2,
}  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        pytest.param(AVERAGED, "traced", id="averaged"),
        pytest.param(PLATEAU, "no_tracing", id="plateau"),
    ],
)
def test_a_run_stopped_after_each_epoch_gives_the_file_of_one_that_was_not(
    data: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    settings: dict[str, Any],
    steps: str,
) -> None:
    request.getfixturevalue(steps)
    epochs = settings.get("epochs", EPOCHS)
    run(data, tmp_path / "whole", **settings)
    stopped = tmp_path / "stopped"
    for epoch in range(epochs):
        with pytest.MonkeyPatch.context() as patch:
            stop_after_each_epoch(patch)
            with pytest.raises(KeyboardInterrupt):
                run(data, stopped, resume=epoch > 0, **settings)
        assert not list(stopped.rglob("best_model.h5"))
    assert f"going on after epoch {epochs} of {epochs}" in run(
        data, stopped, resume=True, **settings
    )
    for name in ("best_model.h5", "history.csv", "predictions.csv", "examination.json"):
        assert file_sha256(stopped / name) == file_sha256(tmp_path / "whole" / name), name
    assert {path.name for path in stopped.iterdir()} == {
        path.name for path in (tmp_path / "whole").iterdir()
    }


def test_a_run_stopped_within_an_epoch_takes_that_epoch_from_its_start(
    data: Path, tmp_path: Path
) -> None:
    run(data, tmp_path / "whole", epochs=2)
    with pytest.MonkeyPatch.context() as patch:
        stop_within_an_epoch(patch, after=4)
        with pytest.raises(KeyboardInterrupt):
            run(data, tmp_path / "stopped", epochs=2)
    printed = run(data, tmp_path / "stopped", epochs=2, resume=True)
    assert "going on after epoch 1 of 2" in printed
    assert "epoch  1/2" not in printed
    name = "best_model.h5"
    assert file_sha256(tmp_path / "stopped" / name) == file_sha256(tmp_path / "whole" / name)


@pytest.fixture(scope="module")
def begun(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped after its first epoch."""
    out = tmp_path_factory.mktemp("begun") / "run"
    with pytest.MonkeyPatch.context() as patch:
        stop_after_each_epoch(patch)
        with pytest.raises(KeyboardInterrupt):
            run(data, out)
    return out


def test_a_run_is_resumed_only_where_it_is_asked_for(data: Path, begun: Path) -> None:
    with pytest.raises(TrainingError, match=r"holds something already; .* --resume"):
        run(data, begun)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"batch_size": 8}, "has batch_size 4, not 8", id="batch"),
        pytest.param({"seed": 5}, "has seed 21, not 5", id="seed"),
        pytest.param({"epochs": 9}, "has epochs 3, not 9", id="epochs"),
    ],
)
def test_a_run_is_not_resumed_by_another_recipe(
    data: Path, begun: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        run(data, begun, resume=True, **settings)


def test_a_run_is_not_resumed_on_other_data(begun: Path, tmp_path: Path) -> None:
    other = write_dataset(tmp_path / "other", counts={"train": 3, "val": 2, "test": 2})
    with pytest.raises(TrainingError, match="not the data that the run"):
        run(other, begun, resume=True)


def test_a_folder_that_is_no_run_is_not_resumed(data: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(TrainingError, match=r"config\.json: expected the config\.json"):
        run(data, tmp_path, resume=True)


@pytest.mark.parametrize("written", [b"hello", b"PK\x03\x04, and no more"], ids=["text", "torn"])
def test_a_state_that_is_broken_is_refused_by_name(tmp_path: Path, written: bytes) -> None:
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished/state.npz").write_bytes(written)
    with pytest.raises(TrainingError, match=r"state\.npz: expected what fit writes"):
        State(tmp_path)


def test_a_folder_that_cannot_be_written_to_is_told(data: Path, tmp_path: Path) -> None:
    (tmp_path / "unfinished").write_text("no folder")
    with pytest.raises(TrainingError, match="cannot be written to: File exists"):
        State(tmp_path)
    (tmp_path / "run/config.json").mkdir(parents=True)
    config = FitConfig(data=data, out=tmp_path / "run")
    with pytest.raises(TrainingError, match="run: cannot be written to: Is a directory"):
        begin_folder(config, CONTRACT, load_dataset(data, CONTRACT), None)


def test_a_run_that_is_finished_is_left_as_it_is(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "best_model.h5").write_bytes(b"trained")
    assert main(["fit", "--data", str(data), "--out", str(out), "--resume"]) == 0
    assert "this run is finished" in capsys.readouterr().out
    assert [path.name for path in out.iterdir()] == ["best_model.h5"]


def test_event_files_have_every_figure_of_every_epoch(data: Path, tmp_path: Path) -> None:
    import tensorflow as tf
    from tensorflow.core.util import event_pb2

    run(data, tmp_path / "run", tensorboard=True)
    found = {}
    for part in ("train", "validation"):
        (path,) = (tmp_path / "run/tensorboard" / part).iterdir()
        for record in tf.data.TFRecordDataset(str(path)):
            event = event_pb2.Event.FromString(record.numpy())
            for value in event.summary.value:
                assert value.metadata.plugin_data.plugin_name in ("scalars", "")
                figure = float(tf.make_ndarray(value.tensor))
                found.setdefault((part, value.tag), []).append((event.step, figure))
    assert set(found) == {
        ("train", "epoch_loss"), ("train", "epoch_accuracy"), ("train", "learning_rate"),
        ("validation", "epoch_loss"), ("validation", "epoch_accuracy"),
    }  # fmt: skip
    assert all([step for step, _ in series] == [0, 1, 2] for series in found.values())
    assert json.loads((tmp_path / "run/config.json").read_text())["settings"]["tensorboard"]
