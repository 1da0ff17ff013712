"""`fit`: one training run, top to bottom."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from app.xray.contract import ModelContract
from app.xray.errors import TrainingError
from training.commands.flags import add_data, add_leave_out, add_strangers
from training.data.audit.audit import judge
from training.data.audit.picture import facts_of
from training.data.dataset import load_dataset
from training.data.folder import SPLITS, UNSEEN, find_files, splits_in
from training.data.leaving_out import find_left_out
from training.data.manifest import read_manifest, sources_of
from training.recipes.config import FitConfig
from training.recipes.files import DEFAULT, read_recipe

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from rich.console import Console

    from training.data.audit.picture import Facts
    from training.evaluation.examine import Examination

HELP: Final = "train a checkpoint and judge it on the test split"
BEST: Final = "best_model.h5"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `fit`; those that a recipe settles have no default of their own."""
    add_data(parser)
    add_strangers(parser)
    told = read_recipe(DEFAULT).settings
    parser.add_argument("--weights", metavar="imagenet|none|FILE", help="to start from (imagenet)")
    parser.add_argument(
        "--recipe", default=DEFAULT, metavar="NAME|FILE", help=f"what the rest follows ({DEFAULT})"
    )
    parser.add_argument("--epochs", type=int, metavar="N", help=f"({DEFAULT}: {told.epochs})")
    parser.add_argument(
        "--batch-size", type=int, metavar="N",
        help=f"pictures a step ({DEFAULT}: {told.batch_size})",
    )  # fmt: skip
    parser.add_argument(
        "--learning-rate", type=float, metavar="RATE",
        help=f"of Adam ({DEFAULT}: {told.learning_rate:g})",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, metavar="N", help="of everything random (21)")
    parser.add_argument(
        "--strategy", metavar="auto|one|mirrored",
        help="devices: one; all of this machine (auto: all GPUs)",
    )  # fmt: skip
    parser.add_argument("--strict", action="store_true", help="end at an unreadable picture")
    parser.add_argument("--allow-leaks", action="store_true", help="train though check finds leaks")
    add_leave_out(parser)
    parser.add_argument(
        "--resume", action="store_true", help="go on with the run in --out, if it was stopped"
    )
    parser.add_argument(
        "--tensorboard", action="store_true", default=None, help="event files in DIR/tensorboard"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="the run's folder (runs/TIME)",
        default=Path("runs") / datetime.now().astimezone().strftime("%Y%m%d-%H%M%S"),
    )  # fmt: skip


def run(options: argparse.Namespace, console: Console) -> None:
    """Train by the recipe and the flags, and print what the result is worth.

    Raises:
        DatasetError, TrainingError: as `fit` and `read_recipe`, or a flag's value is not allowed.
    """
    config = _config(options)
    find_files(config.data, splits_in(config.data))

    from training.report.terminal import print_examination

    if options.resume and is_finished(config.out):
        console.print(
            f"{config.out}: this run is finished", highlight=False, markup=False, soft_wrap=True
        )
        return
    examination = fit(config, console, resume=options.resume, strangers=options.strangers)
    print_examination(examination, console)
    console.print(f"written to {config.out}", highlight=False)


def _config(options: argparse.Namespace) -> FitConfig:
    asked_for = {
        name: value
        for name, value in vars(options).items()
        if name in FitConfig.model_fields and value is not None
    }
    recipe = read_recipe(options.recipe)
    try:
        return FitConfig(**{**dict(recipe.settings), **asked_for})
    except ValidationError as error:
        first = error.errors()[0]
        flag = str(first["loc"][0]).replace("_", "-")
        raise TrainingError(f"--{flag}: {first['msg']}, not {first['input']!r}") from error


def fit(
    config: FitConfig, console: Console, *, resume: bool = False, strangers: Path | None = None
) -> Examination:
    """Train by `config`, write everything into `config.out`, and judge what was kept on test.

    A folder that is not finished has no `best_model.h5`: that is what is written last. With
    `resume` a run that was stopped in `config.out` goes on where it was. The gate is fitted to the
    pictures in the folder `strangers`, too.

    Raises:
        DatasetError: as `load_dataset`, `read_manifest`, `read_strangers`, `refuse_leaks` and
            `find_left_out`.
        TrainingError: the weights do not fit, or `config.out` holds something already, or lies in
            the data; or as `choose_strategy` and `refuse_other_run`. Nothing has been written then.
    """
    from app.xray.checkpoint import read_checkpoint, write_contract
    from app.xray.network import build_network
    from training.evaluation.calibrate import calibrate_answers
    from training.evaluation.caveats import all_caveats, without_sources
    from training.evaluation.examine import examine
    from training.evaluation.gate.fit import Films, fit_gate
    from training.evaluation.gate.folder import read_strangers
    from training.evaluation.precision import find_cut
    from training.evaluation.sample import Sample
    from training.network.bf16_weights import round_weights, some_inputs
    from training.network.device import precision
    from training.network.export import export_checkpoint
    from training.network.mobilenet import build_mobilenet
    from training.network.runner import Runner
    from training.report.folder import begin_folder, fill_folder, refuse_other_run
    from training.report.terminal import (
        refuse_leaks,
        report_caveats,
        report_left_out,
        report_skipped,
        track,
    )
    from training.train.loop import train, trained_file
    from training.train.repeatable import make_repeatable, now, versions
    from training.train.sampling import class_weights
    from training.train.strategy import choose_strategy

    strategy = choose_strategy(config.strategy)
    is_taken = config.out.exists() and (not config.out.is_dir() or any(config.out.iterdir()))
    if is_taken and not resume:
        raise TrainingError(
            f"{config.out}: holds something already; name another folder in --out, or --resume "
            "goes on with a run that was stopped"
        )
    if config.out.resolve().is_relative_to(config.data.resolve()):
        raise TrainingError(f"{config.out}: lies in the data; name a folder elsewhere in --out")
    make_repeatable(config.seed)

    classes, _ = find_files(config.data)
    contract = contract_of(config, classes)
    left_out = find_left_out(config.data, config.leave_out)
    manifest = read_manifest(config.data)
    sources = manifest.sources if manifest else {}
    network = build_mobilenet(
        len(classes),
        input_shape=contract.input_shape,
        weights=config.weights,
        precision=precision(config.precision),
    )
    facts: list[Facts] = []
    dataset = load_dataset(
        config.data,
        contract,
        splits=splits_in(config.data),
        strict=config.strict,
        look=lambda *picture: facts.append(facts_of(*picture)),
        track=track(console, "decoding"),
    )
    report_skipped(dataset, console)
    audit = judge(config.data, facts, dataset.skipped, manifest)
    refuse_leaks(audit, config, console)
    dataset = left_out.without(dataset)
    report_left_out(left_out, console)
    known, val, test = (dataset.splits[name] for name in SPLITS)
    contract = contract.model_copy(update={"dataset": dataset.summary, "versions": versions()})

    other_things = read_strangers(contract, strangers)
    balanced = config.source_balance is not None
    if is_taken:
        refuse_other_run(config, contract, console)
    else:
        begin_folder(config, contract, dataset, None if balanced else class_weights(known.labels))
    known_sources, val_sources = (sources_of(split.files, sources) for split in (known, val))
    history = train(
        network, contract, config, (known, val), known_sources, config.out, console, strategy
    )
    trained = trained_file(config.out)
    network = build_network(read_checkpoint(trained))
    if config.bf16_weights_from:
        round_weights(network, config.bf16_weights_from, some_inputs(known.pixels, contract))
    runner = Runner(network, contract, track(console, "running"))
    answers = {name: runner.run(split.pixels) for name, split in dataset.splits.items()}
    found = all_caveats(contract.classes, (known.labels, known_sources), val.labels, audit)
    found += without_sources(config.leave_out)
    report_caveats(found, console)
    contract = contract.model_copy(update={"caveats": found})
    sample = Sample.of_split(val.labels, answers["val"].raw, val_sources)
    gate = fit_gate(
        Films.of(known, sources, contract), Films.of(val, sources, contract), other_things
    )
    contract, _ = calibrate_answers(contract, sample)
    contract = contract.model_copy(update={"ood": gate})
    judged = {name: (split, answers[name]) for name, split in dataset.splits.items()}
    examination = examine(
        runner, contract, judged["train"], judged["test"], sources, judged.get(UNSEEN)
    )
    found_now = {
        "metrics": examination.metrics,
        "known_answers": runner.known_answers(),
        "trained_at": now(),
    }
    final, best = trained.with_name("calibrated.h5"), config.out / BEST
    export_checkpoint(network, contract.model_copy(update=found_now), final)
    checkpoint = read_checkpoint(final)
    if cut := find_cut(checkpoint, val.pixels):
        precisions = {"precisions": {"bf16": cut}}
        write_contract(final, checkpoint.contract.model_copy(update=precisions), final)
        checkpoint = read_checkpoint(final)
    checkpoint = replace(checkpoint, path=best)
    fill_folder(config.out, checkpoint, network, test, examination, audit, history, config.keep)
    final.replace(best)
    shutil.rmtree(trained.parent, ignore_errors=True)
    return examination


def is_finished(folder: Path) -> bool:
    """Whether a run's folder has its result."""
    return (folder / BEST).is_file()


def contract_of(config: FitConfig, classes: Sequence[str]) -> ModelContract:
    """What a checkpoint of this run promises of its input: that of 2022, resized as asked for."""
    contract = ModelContract.recipe_of_2022(classes)
    return contract.model_copy(update={"resize": config.interpolation, "decode": config.decode})
