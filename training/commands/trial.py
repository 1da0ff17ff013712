"""`trial`: one recipe, trained as `fit` would, and judged on pictures that are not test's."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from training.commands.flags import add_data, add_trial
from training.data.dataset import load_dataset
from training.data.fingerprint import fingerprint_of
from training.data.folder import find_files
from training.data.leaving_out import KNOWN, find_left_out
from training.data.manifest import read_sources, sources_of
from training.recipes.config import FitConfig
from training.recipes.files import read_recipe
from training.recipes.trials import (
    Trial,
    digest_of,
    key_of,
    read_trials,
    record_trial,
    trials_folder,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from rich.console import Console

    from training.evaluation.evaluate import Evaluation
    from training.recipes.files import RecipeFile

HELP: Final = "try one recipe, and note what it reached on val"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `trial`."""
    add_data(parser)
    parser.add_argument("--recipe", required=True, metavar="NAME|FILE")
    add_trial(parser)


def run(options: argparse.Namespace, console: Console) -> None:
    """Try a recipe, note what came of it beside other trials on these data, and print its trials.

    Raises:
        DatasetError, TrainingError: as `run_trial`, `read_recipe` and `record_trial`.
    """
    find_files(options.data, KNOWN)
    recipe = read_recipe(options.recipe)

    from training.report.terminal import print_trials

    folder = trials_folder(fingerprint_of(options.data, KNOWN))
    trial = run_trial(
        options.recipe, recipe, options.data, options.weights, options.held_out, console
    )
    digest = digest_of(recipe.settings, options.weights)
    record_trial(folder, options.recipe, digest, key_of(options.held_out), trial)
    print_trials({Path(options.recipe).stem: read_trials(folder, options.recipe)}, console)
    console.print(f"noted in {folder}", highlight=False, markup=False, soft_wrap=True)


def run_trial(
    name: str,
    recipe: RecipeFile,
    data: Path,
    weights: str,
    held_out: Sequence[str],
    console: Console,
) -> Trial:
    """Train by `recipe`, and judge on val; with sources `held_out`, on all of theirs but test.

    Those are left out of training and of what chooses the epoch.

    Raises:
        DatasetError: as `load_dataset` and `find_left_out`.
        TrainingError: the weights do not fit.
    """
    from app.xray.checkpoint import read_checkpoint
    from app.xray.network import build_network
    from training.commands.fit import contract_of
    from training.evaluation.calibrate import fit_answers
    from training.evaluation.evaluate import evaluate
    from training.evaluation.sample import Sample
    from training.network.device import precision
    from training.network.mobilenet import build_mobilenet
    from training.network.runner import Runner
    from training.report.terminal import report_skipped, track
    from training.train.loop import train, trained_file
    from training.train.repeatable import make_repeatable

    with tempfile.TemporaryDirectory(prefix="cxr-trial-") as folder:
        config = FitConfig(
            data=data, out=Path(folder), weights=weights, recipe=name, **dict(recipe.settings)
        )
        make_repeatable(config.seed)
        classes, _ = find_files(data, KNOWN)
        contract = contract_of(config, classes)
        left_out, sources = find_left_out(data, held_out), read_sources(data)
        dataset = load_dataset(data, contract, splits=KNOWN, track=track(console, "decoding"))
        report_skipped(dataset, console)
        known, val = (left_out.without(dataset).splits[split] for split in KNOWN)
        unseen = left_out.only(dataset) if held_out else val
        started = time.monotonic()
        network = build_mobilenet(
            len(classes),
            input_shape=contract.input_shape,
            weights=config.weights,
            precision=precision(recipe.settings.precision),
        )
        known_sources = sources_of(known.files, sources)
        train(network, contract, config, (known, val), known_sources, config.out, console)
        minutes = (time.monotonic() - started) / 60
        network = build_network(read_checkpoint(trained_file(config.out)))
        runner = Runner(network, contract, track(console, "running"))
        raw, val_sources = runner.run(val.pixels).raw, sources_of(val.files, sources)
        contract = fit_answers(contract, Sample.of_split(val.labels, raw, val_sources))
        answers = runner.run(unseen.pixels)
    return _trial(_command(name, held_out), minutes, evaluate(answers, unseen, contract, sources))


def _command(name: str, held_out: Sequence[str]) -> str:
    command = f"python -m training trial --data DIR --recipe {Path(name).name}"
    return f"{command} --held-out {','.join(held_out)}" if held_out else command


def _trial(command: str, minutes: float, found: Evaluation) -> Trial:
    from training.evaluation.metrics import accuracy, macro_auroc_of_those_present

    return Trial(
        command=command,
        minutes=minutes,
        pictures=len(found.labels),
        accuracy=accuracy(found.labels, found.probabilities),
        macro_auroc=macro_auroc_of_those_present(found.labels, found.probabilities),
        recalls=found.recalls,
    )
