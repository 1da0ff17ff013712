from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import pytest

import training.commands.search
import training.network.mobilenet
from benchmarks.rig.corpus.drawing import write_dataset
from tests.networks import build_tiny
from training.cli import main
from training.commands.trial import record_trial
from training.recipes.files import Trial, read_recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

TRIAL = Trial(
    command="x", minutes=1, pictures=2, accuracy=0.5, macro_auroc=0.5, balanced_accuracy={"a": 0.5}
)


@pytest.fixture(autouse=True)
def tiny_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(classes: int, **_: Any) -> Any:
        return build_tiny(keras, classes)

    monkeypatch.setattr(training.network.mobilenet, "build_mobilenet", build)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Pictures whose sources hold two classes, or one."""
    root = write_dataset(tmp_path / "data")
    sources = {"COVID": "abc", "NORMAL": "aab", "PNEUMONIA": "aab"}
    rows = ["file,source"]
    for path in sorted(root.glob("*/*/*.png")):
        number = int(path.stem[-1])
        rows.append(f"{path.relative_to(root)},{sources[path.parent.name][number % 3]}")
    (root / "manifest.csv").write_text("\n".join(rows))
    return root


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text('why = "To see."\n\n[settings]\nepochs = 1\nbatch_size = 4\n')
    return path


def test_a_trial_is_judged_on_val_and_noted_in_the_recipe(
    data: Path, recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trial", "--data", str(data), "--recipe", str(recipe), "--weights", "none"]) == 0
    (trial,) = read_recipe(str(recipe)).trials.values()
    assert trial.pictures == 6
    assert set(trial.balanced_accuracy) == {"a", "b"}
    assert trial.command == f"python -m training trial --data DIR --recipe {recipe.name}"
    assert "judged on val" in capsys.readouterr().out


def test_a_trial_without_a_source_is_judged_on_all_of_it_but_test(data: Path, recipe: Path) -> None:
    arguments = ["trial", "--data", str(data), "--recipe", str(recipe), "--weights", "none"]
    assert main([*arguments, "--held-out", "c"]) == 0
    trial = read_recipe(str(recipe)).trials["c"]
    assert trial.pictures == 1
    assert set(trial.balanced_accuracy) == {"c"}
    assert trial.command.endswith("--held-out c")


def test_test_has_no_part_in_a_trial(data: Path, recipe: Path) -> None:
    for path in data.glob("test/*/*.png"):
        path.write_bytes(b"spoilt")
    arguments = ["trial", "--data", str(data), "--recipe", str(recipe), "--weights", "none"]
    assert main(arguments) == 0


@pytest.mark.parametrize(
    ("held_out", "message"),
    [
        pytest.param("z", "z: no picture of train or val is of that source", id="unknown"),
        pytest.param("a,b", "no picture of NORMAL is left to learn from", id="all of a class"),
    ],
)
def test_sources_that_cannot_be_held_out_are_refused(
    data: Path, recipe: Path, held_out: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["trial", "--data", str(data), "--recipe", str(recipe), "--weights", "none"]
    assert main([*arguments, "--held-out", held_out]) == 2
    assert message in capsys.readouterr().err


def test_a_search_tries_what_was_not_tried_and_tells_the_best_first(
    data: Path, recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tried = []

    def run_apart(name: str, data: Path, weights: str, held_out: Sequence[str]) -> None:
        tried.append((Path(name).stem, ",".join(held_out)))
        record_trial(name, held_out, TRIAL.model_copy(update={"balanced_accuracy": {"a": 0.75}}))

    monkeypatch.setattr(training.commands.search, "run_apart", run_apart)
    other = recipe.with_name("other.toml")
    other.write_text('why = "Else."\n')
    record_trial(str(other), (), TRIAL)
    assert main(["search", "--data", str(data), "--held-out", "c", str(other), str(recipe)]) == 0
    assert tried == [("other", "c"), ("mine", ""), ("mine", "c")]
    table = capsys.readouterr().out.split("judged on val")[1]
    assert table.index("mine") < table.index("other")
    tried.clear()
    assert main(["search", str(other)]) == 0
    assert tried == []
