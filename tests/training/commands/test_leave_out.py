from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import training.network.mobilenet
import training.train.loop
from app.xray.checkpoint import read_checkpoint
from app.xray.contract import ModelContract
from benchmarks.rig.corpus.drawing import write_dataset
from tests.networks import write_taught_checkpoint
from training.cli import main
from training.data.dataset import load_dataset

if TYPE_CHECKING:
    from pathlib import Path

    from training.data.dataset import Split


class Run(NamedTuple):
    """A run that left out a source, what it printed, and the splits that it learned from."""

    data: Path
    out: Path
    printed: str
    splits: tuple[Split, Split]


def fit(data: Path, out: Path, *more: str) -> int:
    flags = ["--weights", "none", "--epochs", "1", "--batch-size", "4", "--recipe", "2022", *more]
    return main(["fit", "--data", str(data), "--out", str(out), *flags])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_dataset(tmp_path_factory.mktemp("sources") / "data")
    rows = ["file,source"]
    rows += [
        f"{path.relative_to(root)},{'abca'[int(path.stem[-1])]}"
        for path in sorted(root.glob("*/*/*.png"))
    ]
    (root / "manifest.csv").write_text("\n".join(rows))
    return root


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    import io

    import training.cli

    out, printed = tmp_path_factory.mktemp("run") / "run", io.StringIO()
    seen: list[tuple[Split, Split]] = []
    train = training.train.loop.train

    def note(network: Any, contract: Any, config: Any, splits: Any, *rest: Any) -> Any:
        seen.append(splits)
        return train(network, contract, config, splits, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.train.loop, "train", note)
        console = training.cli.Console
        patch.setattr(training.cli, "Console", lambda **_: console(file=printed, width=300))
        assert fit(data, out, "--leave-out", "c,b") == 0
    return Run(data, out, printed.getvalue(), seen[0])


def test_a_run_learns_and_validates_without_the_sources_left_out(run: Run) -> None:
    known, val = run.splits
    assert [file[-5] for file in known.files] == ["0", "3"] * 3
    assert [file[-5] for file in val.files] == ["0"] * 3


def test_a_run_says_what_it_left_out_wherever_somebody_looks(run: Run) -> None:
    settings = json.loads((run.out / "config.json").read_text())["settings"]
    assert settings["leave_out"] == ["b", "c"]
    assert "left out of train and val: b, c (9 pictures)" in run.printed
    contract = read_checkpoint(run.out / "best_model.h5").contract
    assert any("trained without the pictures of b, c" in caveat for caveat in contract.caveats)
    assert contract.dataset is not None
    assert contract.dataset.counts["train"] == {"COVID": 2, "NORMAL": 2, "PNEUMONIA": 2}
    assert contract.dataset.counts["test"] == {"COVID": 2, "NORMAL": 2, "PNEUMONIA": 2}


def test_it_calibrates_a_model_that_knows_all_sources(run: Run, tmp_path: Path) -> None:
    contract = ModelContract.recipe_of_2022()
    contract = contract.model_copy(update={"dataset": load_dataset(run.data, contract).summary})
    model = write_taught_checkpoint(tmp_path / "model.h5", run.data, contract)
    flags = ["--model", str(model), "--data", str(run.data), "--left-out", str(run.out)]
    assert main(["calibrate", *flags]) == 0
    ground = read_checkpoint(model).contract.calibrated_on
    assert ground is not None
    assert ground.sources_left_out == ("b", "c")
    assert ground.pictures == 6 + 9


def test_it_is_judged_on_the_whole_of_test(run: Run) -> None:
    figures = json.loads((run.out / "examination.json").read_text())
    assert figures["figures"]["pictures"] == 6
    assert figures["known_sources"] == ["a"]


@pytest.mark.parametrize("flags", [[], ["--replace"]], ids=["compared", "replace"])
def test_it_is_never_promoted(
    run: Run, tmp_path: Path, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["promote", str(run.out), "--data", str(run.data), "--into", str(tmp_path)]
    assert main([*command, *flags]) == 2
    assert "was trained without b, c, to calibrate another by" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_it_is_not_resumed_with_other_sources_left_out(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "config.json").write_bytes((run.out / "config.json").read_bytes())
    for more in ([], ["--leave-out", "b"]):
        assert fit(run.data, out, "--resume", *more) == 2
        assert 'has leave_out ["b", "c"], not' in capsys.readouterr().err


def test_a_run_that_was_begun_before_sources_could_be_left_out_is_resumed(
    data: Path, tmp_path: Path
) -> None:
    def stop(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.train.loop, "train", stop)
        assert fit(data, tmp_path / "run") == 130
    path = tmp_path / "run/config.json"
    document = json.loads(path.read_text())
    del document["settings"]["leave_out"]
    path.write_text(json.dumps(document))
    assert fit(data, tmp_path / "run", "--resume") == 0


@pytest.mark.parametrize(
    ("names", "message"),
    [
        pytest.param("z", "z: no picture of train or val is of that source", id="unknown"),
        pytest.param("a,b", "no picture of COVID is left to learn from in val", id="all of one"),
    ],
)
def test_sources_that_cannot_be_left_out_end_the_run_before_it_begins(
    data: Path, tmp_path: Path, names: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(data, tmp_path / "run", "--leave-out", names) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("names", ["", ",", " , "])
def test_names_that_are_none_are_refused(
    data: Path, tmp_path: Path, names: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        fit(data, tmp_path / "run", "--leave-out", names)
    assert "expected names of sources" in capsys.readouterr().err
