from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from app.xray.checkpoint import file_sha256, read_checkpoint, write_contract
from app.xray.contract import ModelContract
from app.xray.errors import TrainingError
from benchmarks.rig.corpus.drawing import add_unseen, write_dataset
from training.commands.promote import promote
from training.data.dataset import load_dataset
from training.network.export import export_checkpoint
from training.recipes.config import FitConfig

if TYPE_CHECKING:
    from pathlib import Path


def always(label: int) -> Any:
    """A network that gives one class to every picture."""
    inputs = keras.Input((224, 224, 3))
    dense = keras.layers.Dense(3, activation="softmax")
    small = keras.layers.AveragePooling2D(16)(inputs)
    network = keras.Model(inputs, dense(keras.layers.GlobalAveragePooling2D()(small)))
    dense.set_weights([np.zeros((3, 3)), np.eye(3)[label] * 9])
    return network


def fooled_by_grain() -> Any:
    """A network that gives NORMAL to a picture, but COVID to one with grain."""
    inputs = keras.Input((224, 224, 3))
    edges = keras.layers.DepthwiseConv2D(3, use_bias=False, activation="relu")
    dense = keras.layers.Dense(3, activation="softmax")
    network = keras.Model(inputs, dense(keras.layers.GlobalAveragePooling2D()(edges(inputs))))
    laplace = np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]], np.float32)
    edges.set_weights([np.repeat(laplace[..., None, None], 3, axis=2)])
    slope, bias = np.zeros((3, 3)), np.array([-5.0, 0, -99])
    slope[:, 0] = 5 / 3 / 0.02  # of flat pictures 0, with grain about 0.035
    dense.set_weights([slope, bias])
    return network


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """In val and test, two of three pictures are NORMAL."""
    write_dataset(tmp_path / "data")
    for split in ("val", "test"):
        for index in range(4):
            picture = tmp_path / "data" / split / "NORMAL" / f"more-{index}.png"
            picture.write_bytes((picture.parent / "normal-0.png").read_bytes())
    return tmp_path / "data"


def write_run(folder: Path, data: Path, label: int, network: Any = None) -> Path:
    folder.mkdir()
    contract = ModelContract.recipe_of_2022()
    contract = contract.model_copy(
        update={
            "dataset": load_dataset(data, contract).summary,
            "trained_at": "2026-01-01T00:00:00+00:00",
            "versions": {"keras": "3"},
        }
    )
    export_checkpoint(network or always(label), contract, folder / "best_model.h5")
    settings = FitConfig(data=folder, out=folder, weights=folder / "w.h5", epochs=3)
    (folder / "config.json").write_text(json.dumps({"settings": settings.model_dump(mode="json")}))
    return folder


def run_promote(run: Path, data: Path, into: Path, notes: Path | None = None) -> tuple[bool, str]:
    printed = io.StringIO()
    done = promote(run, data, into, notes, Console(file=printed, width=200))
    return done, printed.getvalue()


def test_the_first_checkpoint_is_promoted_with_its_card(data: Path, tmp_path: Path) -> None:
    run, into = write_run(tmp_path / "run", data, label=1), tmp_path / "models"
    notes = tmp_path / "notes.md"
    notes.write_text("## Data\n\nDrawn by hand.\n")
    done, _ = run_promote(run, data, into, notes)
    assert done
    assert file_sha256(into / "best_model.h5") == file_sha256(run / "best_model.h5")
    card = (into / "MODEL_CARD.md").read_text()
    assert file_sha256(into / "best_model.h5") in card
    assert "not a medical device" in card
    assert "| accuracy | 0.600 |" in card
    assert "| NORMAL | 6 | 0.600 (" in card
    assert "Uncalibrated" in card
    assert "Drawn by hand." in card
    assert "--weights FILE --epochs 3" in card
    assert str(tmp_path) not in card


def test_a_better_checkpoint_takes_the_place_of_a_worse(data: Path, tmp_path: Path) -> None:
    into = tmp_path / "models"
    run_promote(write_run(tmp_path / "worse", data, label=0), data, into)
    better = write_run(tmp_path / "better", data, label=1)
    done, printed = run_promote(better, data, into)
    assert done
    assert "mean over source and class: 0.3333, of" in printed
    assert file_sha256(into / "best_model.h5") == file_sha256(better / "best_model.h5")


def test_what_holds_in_more_sources_is_better_whatever_their_size(
    data: Path, tmp_path: Path
) -> None:
    rows = [f"val/COVID/covid-{index}.png,clinic {index}" for index in range(2)]
    rows += [f"val/NORMAL/{path.name},large" for path in (data / "val/NORMAL").iterdir()]
    (data / "manifest.csv").write_text("\n".join(["file,source", *rows]))
    into = tmp_path / "models"
    run_promote(write_run(tmp_path / "commonest", data, label=1), data, into)
    done, printed = run_promote(write_run(tmp_path / "broad", data, label=0), data, into)
    assert done
    assert "mean over source and class: 0.5000, of" in printed


def test_one_that_a_little_grain_fools_gives_way_to_one_that_it_does_not(
    data: Path, tmp_path: Path
) -> None:
    for path in data.glob("*/*/*.png"):
        # Not flat, which nothing is made of, and without an edge.
        ramp = np.tile(np.linspace(100, 150, 300).astype(np.uint8), (300, 1))
        Image.fromarray(ramp).save(path)
    into = tmp_path / "models"
    fooled = write_run(tmp_path / "fooled", data, label=1, network=fooled_by_grain())
    run_promote(fooled, data, into)
    assert "| accuracy | 0.600 |" in (into / "MODEL_CARD.md").read_text()
    done, printed = run_promote(write_run(tmp_path / "steady", data, label=1), data, into)
    assert done
    assert "mean over source and class: 0.3333, of" in printed


def test_the_card_shows_another_run_beside_it(data: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", data, label=1)
    other = write_run(tmp_path / "other", data, label=0)
    into = tmp_path / "models"
    promote(run, data, into, None, Console(quiet=True), beside=other)
    card = (into / "MODEL_CARD.md").read_text()
    assert "## Beside other" in card
    assert "| recall of NORMAL | 1.000 (1.000 to 1.000) | 0.000 (0.000 to 0.000) | +1.000" in card


@pytest.mark.parametrize("label", [0, 1], ids=["worse", "no-better"])
def test_a_checkpoint_that_is_no_better_stays_where_it_is(
    label: int, data: Path, tmp_path: Path
) -> None:
    into = tmp_path / "models"
    run_promote(write_run(tmp_path / "first", data, label=1), data, into)
    before = [file_sha256(into / name) for name in ("best_model.h5", "MODEL_CARD.md")]
    done, printed = run_promote(write_run(tmp_path / "second", data, label=label), data, into)
    assert not done
    assert "stays" in printed
    assert [file_sha256(into / name) for name in ("best_model.h5", "MODEL_CARD.md")] == before


def test_of_two_alike_that_is_better_which_is_calibrated(data: Path, tmp_path: Path) -> None:
    into = tmp_path / "models"
    run_promote(write_run(tmp_path / "first", data, label=1), data, into)
    again = write_run(tmp_path / "again", data, label=1)
    path = again / "best_model.h5"
    contract = read_checkpoint(path).contract
    write_contract(path, contract.model_copy(update={"temperature": 2.0}), path)
    done, _ = run_promote(again, data, into)
    assert done
    card = (into / "MODEL_CARD.md").read_text()
    assert "Temperature 2.000" in card
    assert "Uncalibrated" not in card


@pytest.mark.parametrize("missing", ["config.json", "notes.md"])
def test_what_is_missing_is_named_and_nothing_is_promoted(
    missing: str, data: Path, tmp_path: Path
) -> None:
    run, into = write_run(tmp_path / "run", data, label=1), tmp_path / "models"
    if missing == "config.json":
        (run / missing).unlink()
    notes = tmp_path / "notes.md" if missing == "notes.md" else None
    with pytest.raises(TrainingError, match=missing):
        run_promote(run, data, into, notes)
    assert not into.exists()


@pytest.mark.parametrize(
    "settings", ["", "[]", "{}", '{"settings": {}}', '{"settings": 5}'], ids=repr
)
def test_a_config_that_fit_did_not_write_is_refused(
    settings: str, data: Path, tmp_path: Path
) -> None:
    run = write_run(tmp_path / "run", data, label=1)
    (run / "config.json").write_text(settings)
    with pytest.raises(TrainingError, match=r"config\.json: expected the config\.json that fit"):
        run_promote(run, data, tmp_path / "models")


def test_figures_on_other_data_than_the_runs_are_not_put_on_its_card(
    data: Path, tmp_path: Path
) -> None:
    run = write_run(tmp_path / "run", data, label=1)
    (data / "test/COVID/covid-0.png").unlink()
    with pytest.raises(TrainingError, match=r"not the data that .*run was trained on"):
        run_promote(run, data, tmp_path / "models")


@pytest.mark.parametrize("place", ["models", "models/MODEL_CARD.md", "models/best_model.h5"])
def test_a_place_that_cannot_be_written_is_named_before_anything_is_judged(
    place: str, data: Path, tmp_path: Path
) -> None:
    run, into = write_run(tmp_path / "run", data, label=1), tmp_path / "models"
    if place == "models":
        into.write_text("a file")
    else:
        (tmp_path / place).mkdir(parents=True)
    with pytest.raises(TrainingError, match=rf"{place}: (not )?a folder"):
        run_promote(run, data, into)


def test_the_card_tells_of_hospitals_that_the_checkpoint_never_saw(
    data: Path, tmp_path: Path
) -> None:
    add_unseen(data)
    run, into = write_run(tmp_path / "run", data, label=1), tmp_path / "models"
    other = write_run(tmp_path / "other", data, label=0)
    promote(run, data, into, None, Console(quiet=True), beside=other)
    card = (into / "MODEL_CARD.md").read_text()
    assert "## At hospitals it never saw" in card
    assert "| far / COVID | 2 | 0.000 (0.000 to 0.000) | 2 NORMAL |" in card
    assert "| farther / NORMAL | 2 | 1.000 (1.000 to 1.000) | nothing |" in card
    assert "| recall of far / COVID, never seen | 0.000 (0.000 to 0.000) | 1.000" in card


def test_a_checkpoint_replaces_a_better_one_where_it_is_told_to_and_the_card_says_so(
    data: Path, tmp_path: Path
) -> None:
    into = tmp_path / "models"
    run_promote(write_run(tmp_path / "better", data, label=1), data, into)
    before = file_sha256(into / "best_model.h5")
    assert "not compared" not in (into / "MODEL_CARD.md").read_text()
    worse = write_run(tmp_path / "worse", data, label=0)
    printed = io.StringIO()
    assert promote(worse, data, into, None, Console(file=printed), replace=True)
    assert "recall on val" not in printed.getvalue()
    assert file_sha256(into / "best_model.h5") == file_sha256(worse / "best_model.h5")
    card = " ".join((into / "MODEL_CARD.md").read_text().split())
    assert f"was not compared with the checkpoint whose place it took (SHA-256 `{before}`)" in card


def test_with_nothing_to_replace_the_card_speaks_of_no_comparison(
    data: Path, tmp_path: Path
) -> None:
    run, into = write_run(tmp_path / "run", data, label=1), tmp_path / "models"
    assert promote(run, data, into, None, Console(quiet=True), replace=True)
    assert "not compared" not in (into / "MODEL_CARD.md").read_text()
