from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import training.commands.search
import training.network.mobilenet
from benchmarks.rig.corpus.drawing import write_dataset
from training.cli import main
from training.data.fingerprint import fingerprint_of
from training.data.leaving_out import KNOWN
from training.recipes.files import RECIPES, read_recipe
from training.recipes.trials import (
    Trial,
    digest_of,
    key_of,
    read_trials,
    record_trial,
    trials_folder,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

TRIAL = Trial(
    command="x", minutes=1, pictures=2, accuracy=0.5, macro_auroc=0.5, recalls={"a/COVID": 0.5}
)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is noted below the working folder."""
    monkeypatch.chdir(tmp_path)


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


def trials_of(data: Path, recipe: Path) -> dict[str, Trial]:
    """Those on the data as they are now."""
    return read_trials(trials_folder(fingerprint_of(data, KNOWN)), str(recipe))


def note(data: Path, recipe: Path, held_out: Sequence[str], trial: Trial = TRIAL) -> None:
    digest = digest_of(read_recipe(str(recipe)).settings, "imagenet")
    folder = trials_folder(fingerprint_of(data, KNOWN))
    record_trial(folder, str(recipe), digest, key_of(held_out), trial)


def test_a_trial_is_judged_on_val_and_noted_by_its_data_and_nowhere_else(
    data: Path, recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = recipe.read_text(), sorted(RECIPES.iterdir())
    assert main(["trial", "--data", str(data), "--recipe", str(recipe), "--weights", "none"]) == 0
    assert (recipe.read_text(), sorted(RECIPES.iterdir())) == before
    (trial,) = trials_of(data, recipe).values()
    assert trial.pictures == 6
    assert {pair.partition("/")[0] for pair in trial.recalls} == {"a", "b"}
    assert trial.command == f"python -m training trial --data DIR --recipe {recipe.name}"
    assert "judged on val" in capsys.readouterr().out


def test_a_trial_without_a_source_is_judged_on_all_of_it_but_test(data: Path, recipe: Path) -> None:
    arguments = ["trial", "--data", str(data), "--recipe", str(recipe), "--weights", "none"]
    assert main([*arguments, "--held-out", "c"]) == 0
    trial = trials_of(data, recipe)["c"]
    assert trial.pictures == 1
    assert [pair.partition("/")[0] for pair in trial.recalls] == ["c"]
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


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What is tried from here on, each noted as better than `TRIAL`."""
    found = []

    def run_apart(name: str, data: Path, weights: str, held_out: Sequence[str]) -> None:
        found.append((Path(name).stem, ",".join(held_out)))
        better = TRIAL.model_copy(update={"recalls": {"a/COVID": 0.75}})
        note(data, Path(name), held_out, better)

    monkeypatch.setattr(training.commands.search, "run_apart", run_apart)
    return found


@pytest.fixture
def other(recipe: Path) -> Path:
    path = recipe.with_name("other.toml")
    path.write_text('why = "Else."\n')
    return path


def test_a_search_tries_what_was_not_tried_and_tells_the_best_first(
    data: Path, recipe: Path, other: Path, tried: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    note(data, other, ())
    assert main(["search", "--data", str(data), "--held-out", "c", str(other), str(recipe)]) == 0
    assert tried == [("other", "c"), ("mine", ""), ("mine", "c")]
    table = capsys.readouterr().out.split("judged on val")[1]
    assert table.index("mine") < table.index("other")


def test_without_data_a_search_only_tells_what_was_tried_on_which(
    data: Path, other: Path, tried: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search"]) == 0
    assert "nothing was tried yet" in capsys.readouterr().out
    note(data, other, ())
    assert main(["search", str(other)]) == 0
    assert tried == []
    printed = capsys.readouterr().out
    assert fingerprint_of(data, KNOWN)[:16] in printed
    assert "judged on val" in printed


@pytest.mark.parametrize("changed", ["a picture", "a source"])
def test_a_search_on_other_data_is_not_told_the_figures_of_these(
    data: Path, other: Path, tried: list[Any], changed: str
) -> None:
    note(data, other, ())
    if changed == "a picture":
        (data / "train/COVID/covid-0.png").write_bytes(b"another")
    else:
        manifest = data / "manifest.csv"
        manifest.write_text(manifest.read_text().replace("covid-0.png,a", "covid-0.png,z"))
    assert main(["search", "--data", str(data), str(other)]) == 0
    assert tried == [("other", "")]


def test_a_recipe_that_changed_is_tried_again(data: Path, other: Path, tried: list[Any]) -> None:
    note(data, other, ())
    other.write_text('why = "Else."\n[settings]\nepochs = 2\n')
    assert main(["search", "--data", str(data), str(other)]) == 0
    assert tried == [("other", "")]


@pytest.mark.parametrize("word", ["search", "trial --recipe 2022"])
def test_a_folder_that_is_not_there_is_told_at_once(
    word: str, tried: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*word.split(), "--data", "nowhere"]) == 2
    assert "nowhere: no such folder" in capsys.readouterr().err
    assert tried == []
