"""What networks answer for the sources that they were trained without: `calibrate --left-out`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from app.xray.checkpoint import read_checkpoint
from app.xray.errors import TrainingError
from app.xray.network import build_network
from training.data.leaving_out import find_left_out
from training.data.manifest import sources_of
from training.evaluation.sample import Sample
from training.network.runner import Runner
from training.recipes.config import Recipe
from training.report.folder import read_settings
from training.report.terminal import track

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from app.xray.contract import ModelContract
    from training.commands.judge import Judge
    from training.recipes.config import FitConfig

_INPUT: Final = ("classes", "input_size", "channels", "resize", "decode")
"""What of a contract says which pixels a network is given, and what its outputs are."""


def pool_left_out(
    judge: Judge, data: Path, val: Sample, runs: Sequence[Path], console: Console
) -> Sample:
    """`val` together with what each of `runs` answers for train and val of what it left out.

    `judge` has the model that is calibrated and the pictures.

    Raises:
        DatasetError: as `find_left_out`.
        TrainingError: a run is not finished, left nothing out, is of other data or other input than
            the model.
        CheckpointError: as `read_checkpoint` and `build_network`.
    """
    model = judge.checkpoint
    theirs = [_read_run(run, model.contract) for run in runs]
    for run, settings in zip(runs, theirs, strict=True):
        _warn_of_other_recipe(model.path.parent, run, settings, console)
    others = []
    for run, settings in zip(runs, theirs, strict=True):
        checkpoint = read_checkpoint(run / "best_model.h5")
        left_out = find_left_out(data, settings.leave_out)
        pictures = left_out.only(judge.dataset)
        runner = Runner(
            build_network(checkpoint), checkpoint.contract, track(console, f"running {run.name}")
        )
        sources = sources_of(pictures.files, judge.sources)
        answered = Sample.of_split(pictures.labels, runner.run(pictures.pixels).raw, sources)
        others.append(answered.without(left_out.names))
        console.print(
            f"{run}: {len(pictures):,} pictures of {', '.join(left_out.names)}, which it did not "
            "know",
            highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
    return Sample.pooled(val, others)


def _read_run(run: Path, ours: ModelContract) -> FitConfig:
    if not (run / "best_model.h5").is_file():
        raise TrainingError(f"--left-out {run}: no run that is finished; it has no best_model.h5")
    settings = read_settings(run)
    if not settings.leave_out:
        raise TrainingError(
            f"--left-out {run}: left no source out; train it with fit --leave-out SOURCE"
        )
    contract = read_checkpoint(run / "best_model.h5").contract
    if (
        contract.dataset is None
        or ours.dataset is None
        or (contract.dataset.fingerprint != ours.dataset.fingerprint)
    ):
        raise TrainingError(
            f"--left-out {run}: was trained on other data than the model, by their fingerprints"
        )
    for name in _INPUT:
        if getattr(contract, name) != getattr(ours, name):
            raise TrainingError(
                f"--left-out {run}: its {name} is {getattr(contract, name)}, the model's "
                f"{getattr(ours, name)}; train it by the recipe of the model"
            )
    return settings


def _warn_of_other_recipe(model: Path, run: Path, settings: FitConfig, console: Console) -> None:
    """Say it where a run was told otherwise than the model, as far as that lies in a run too."""
    if not (model / "config.json").is_file():
        return
    ours = read_settings(model)
    other = [
        name for name in (*Recipe.model_fields, "seed")
        if getattr(settings, name) != getattr(ours, name)
    ]  # fmt: skip
    if other:
        console.print(
            f"{run}: was trained with another {', '.join(other)} than the model: its answers may "
            "be more or less sure",
            style="yellow", highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
