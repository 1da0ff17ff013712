"""`python -m training check | fit | evaluate | calibrate | promote | trial | search`."""

from __future__ import annotations

import argparse
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError
from rich.console import Console

from app.xray.errors import CxrError, DatasetError, TrainingError
from app.xray.network import hush_tensorflow
from training.config import FitConfig
from training.dataset import SPLITS
from training.recipe import DEFAULT, read_recipe, recipe_names, record_trial

if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_LEAKS = 1
EXIT_OPERATOR = 2
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Gives 0 when it is done, 1 when `check` found a leak, 2 when the folder, the file or a flag is
    wrong.
    """
    hush_tensorflow()
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options, Console()) or 0
    except CxrError as error:
        Console(stderr=True).print(
            f"error: {error}", style="red", highlight=False, markup=False, soft_wrap=True
        )
        return EXIT_OPERATOR
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return code


def _check(options: argparse.Namespace, console: Console) -> int:
    from training.audit_tables import print_audit
    from training.leaks import audit
    from training.tables import track

    if options.out.suffix != ".json":
        raise DatasetError(f"--out: expected a name that ends in .json, not {options.out}")
    if not options.out.absolute().parent.is_dir():
        raise DatasetError(f"--out: {options.out.parent}: no such folder")
    found = audit(options.data, options.manifest, track=track(console, "checking"))
    print_audit(found, console)
    found.write(options.out)
    console.print(f"written to {options.out}", highlight=False, markup=False, soft_wrap=True)
    return EXIT_LEAKS if found.has_leaks else 0


def _fit(options: argparse.Namespace, console: Console) -> None:
    asked_for = {
        name: value
        for name, value in vars(options).items()
        if name in FitConfig.model_fields and value is not None
    }
    recipe = read_recipe(options.recipe)
    try:
        config = FitConfig(**{**dict(recipe.settings), **asked_for})
    except ValidationError as error:
        first = error.errors()[0]
        flag = str(first["loc"][0]).replace("_", "-")
        raise TrainingError(f"--{flag}: {first['msg']}, not {first['input']!r}") from error
    from training.fit import fit
    from training.tables import print_examination

    print_examination(fit(config, console), console)
    console.print(f"written to {config.out}", highlight=False)


def _trial(options: argparse.Namespace, console: Console) -> None:
    from training.tables import print_trials
    from training.trial import run_trial

    recipe = read_recipe(options.recipe)
    trial = run_trial(
        options.recipe, recipe, options.data, options.weights, options.held_out, console
    )
    record_trial(options.recipe, options.held_out, trial)
    print_trials({Path(options.recipe).stem: read_recipe(options.recipe)}, console)


def _search(options: argparse.Namespace, console: Console) -> None:
    from training.tables import print_trials

    names = options.recipes or recipe_names()
    for name in names:
        trials = read_recipe(name).trials
        for held_out in ((), options.held_out) if options.held_out else ((),):
            if options.data and (options.again or (",".join(held_out) or "val") not in trials):
                console.rule(f"{name}{', without ' * bool(held_out)}{', '.join(held_out)}")
                run_apart(name, options.data, options.weights, held_out)
    print_trials({Path(name).stem: read_recipe(name) for name in names}, console)


def run_apart(name: str, data: Path, weights: str, held_out: Sequence[str]) -> None:
    """One trial in a process of its own: what one leaves in Keras' memory is not the next one's.

    Raises:
        TrainingError: it failed; it has said why.
    """
    command = [sys.executable, "-m", "training", "trial", "--data", str(data)]
    command += ["--recipe", name, "--weights", weights, "--held-out", ",".join(held_out)]
    if subprocess.run(command, check=False).returncode:  # noqa: S603
        raise TrainingError(f"the trial of {name} failed")


def _evaluate(options: argparse.Namespace, console: Console) -> None:
    from training.judge import Judge
    from training.tables import print_examination

    splits = sorted({"train", options.split})  # what the probe of sources learns from, too
    judge = Judge(options.model, options.data, splits, console)
    examination = judge.examine(options.split)
    print_examination(examination, console)
    if options.out:
        judge.report(options.split, examination, options.out)
        console.print(f"written to {options.out}", highlight=False)


def _calibrate(options: argparse.Namespace, console: Console) -> None:
    from training.judge import calibrate_checkpoint
    from training.text import with_interval

    found = calibrate_checkpoint(options.model, options.data, console)
    for name, evaluation in (
        ("as it was", found.before),
        ("likeliest on val", found.likeliest),
        ("taken: the nearest to 1 within one standard error", found.evaluation),
    ):
        temperature, ece = evaluation.contract.temperature, evaluation.headline["ece"]
        line = f"temperature {temperature:.3f}, ECE on test {with_interval(ece)}: {name}"
        console.print(line, highlight=False, soft_wrap=True)
    for name, point in found.evaluation.contract.operating_points.items():
        console.print(f"operating point {point:.3f}: {name}", highlight=False, markup=False)
    console.print(
        f"written into {options.model}, which has another SHA-256 now: a card or a "
        "CXR_MODEL_SHA256 that names the old one is out of date",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _promote(options: argparse.Namespace, console: Console) -> None:
    from training.promote import promote

    promote(options.run_folder, options.data, options.into, options.notes, console, options.beside)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description="A folder of X-rays, DIR/train|val|test/CLASS/*, to models/best_model.h5.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    check = commands.add_parser("check", help="look for leaks between splits, and for bad files")
    check.set_defaults(run=_check)
    _add_data(check)
    check.add_argument(
        "--manifest", type=Path, metavar="CSV", help="names patients (DIR/manifest.csv)"
    )
    check.add_argument(
        "--out", type=Path, metavar="FILE", help="(data-check.json)",
        default=Path("data-check.json"),
    )  # fmt: skip

    fit = commands.add_parser("fit", help="train a checkpoint and judge it on the test split")
    fit.set_defaults(run=_fit)
    _add_data(fit)
    fit.add_argument("--weights", metavar="imagenet|none|FILE", help="to start from (imagenet)")
    fit.add_argument(
        "--recipe", default=DEFAULT, metavar="NAME|FILE", help=f"what the rest follows ({DEFAULT})"
    )
    fit.add_argument("--epochs", type=int, metavar="N", help="(15)")
    fit.add_argument("--batch-size", type=int, metavar="N", help="pictures a step (64)")
    fit.add_argument("--learning-rate", type=float, metavar="RATE", help="of Adam (1e-4)")
    fit.add_argument("--seed", type=int, metavar="N", help="of everything random (21)")
    fit.add_argument("--strict", action="store_true", help="end at an unreadable picture")
    fit.add_argument("--allow-leaks", action="store_true", help="train though check finds leaks")
    fit.add_argument(
        "--out", type=Path, metavar="DIR", help="the run's folder (runs/TIME)",
        default=Path("runs") / datetime.now().astimezone().strftime("%Y%m%d-%H%M%S"),
    )  # fmt: skip

    evaluate = commands.add_parser("evaluate", help="judge a checkpoint")
    evaluate.set_defaults(run=_evaluate)
    _add_data(evaluate)
    _add_model(evaluate)
    evaluate.add_argument("--split", choices=SPLITS, default="test")

    evaluate.add_argument("--out", type=Path, metavar="DIR", help="a folder for report and figures")

    calibrate = commands.add_parser(
        "calibrate", help="fit temperature, operating points and gate of a checkpoint anew"
    )
    calibrate.set_defaults(run=_calibrate)
    _add_data(calibrate)
    calibrate.add_argument("--model", type=Path, required=True, metavar="FILE")

    promote = commands.add_parser(
        "promote", help="put a run's checkpoint into models/ if it is better on val"
    )
    promote.set_defaults(run=_promote)
    promote.add_argument("run_folder", type=Path, metavar="RUN", help="a folder that fit wrote")
    _add_data(promote)
    promote.add_argument("--into", type=Path, default=Path("models"), metavar="DIR")
    promote.add_argument(
        "--beside", type=Path, metavar="RUN", help="another run, for the card to compare with"
    )
    promote.add_argument("--notes", type=Path, metavar="FILE", help="Markdown for the card")

    trial = commands.add_parser("trial", help="try one recipe, and note what it reached on val")
    trial.set_defaults(run=_trial)
    _add_data(trial)
    trial.add_argument("--recipe", required=True, metavar="NAME|FILE")
    _add_trial(trial)

    search = commands.add_parser("search", help="try all recipes that were not yet; compare all")
    search.set_defaults(run=_search)
    search.add_argument(
        "--data", type=Path, metavar="DIR", help="without it only the table is told"
    )
    search.add_argument("--again", action="store_true", help="those that were tried, too")
    search.add_argument("recipes", nargs="*", metavar="NAME", help="only these (all)")
    _add_trial(search)
    return parser


def _add_trial(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--weights", default="imagenet", metavar="imagenet|none|FILE", help="(imagenet)"
    )
    command.add_argument(
        "--held-out",
        type=lambda text: tuple(filter(None, text.split(","))),
        default=(),
        metavar="SOURCE,SOURCE",
        help="train without these, and judge on them",
    )


def _add_data(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="the folder of X-rays"
    )


def _add_model(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", type=Path, default=Path("models/best_model.h5"), metavar="FILE")
