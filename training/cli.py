"""`python -m training check | fit | evaluate | calibrate | promote | trial | search`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError
from rich.console import Console

from app.xray.errors import CxrError, DatasetError, TrainingError
from app.xray.network import hush_tensorflow
from training.commands.trial import record_trial
from training.options import build_parser
from training.recipes.config import FitConfig
from training.recipes.files import read_recipe, recipe_names

if TYPE_CHECKING:
    import argparse
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
    options = build_parser(RUNS).parse_args(arguments)
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
    from training.data.audit.audit import audit
    from training.report.audit_tables import print_audit
    from training.report.terminal import track

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
    from training.commands.fit import fit
    from training.report.terminal import print_examination

    examination = fit(config, console)
    print_examination(examination, console)
    console.print(f"written to {config.out}", highlight=False)


def _trial(options: argparse.Namespace, console: Console) -> None:
    from training.commands.trial import run_trial
    from training.report.terminal import print_trials

    recipe = read_recipe(options.recipe)
    trial = run_trial(
        options.recipe, recipe, options.data, options.weights, options.held_out, console
    )
    record_trial(options.recipe, options.held_out, trial)
    print_trials({Path(options.recipe).stem: read_recipe(options.recipe)}, console)


def _search(options: argparse.Namespace, console: Console) -> None:
    from training.report.terminal import print_trials

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
    from training.commands.judge import Judge
    from training.report.terminal import print_examination

    splits = sorted({"train", options.split})  # what the probe of sources learns from, too
    judge = Judge(options.model, options.data, splits, console)
    examination = judge.examine(options.split)
    print_examination(examination, console)
    if options.out:
        judge.report(options.split, examination, options.out)
        console.print(f"written to {options.out}", highlight=False)


def _calibrate(options: argparse.Namespace, console: Console) -> None:
    from training.commands.calibrate import calibrate_checkpoint
    from training.report.document import with_interval

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
    from training.commands.promote import promote

    promote(options.run_folder, options.data, options.into, options.notes, console, options.beside)


RUNS: Final = {
    "check": _check,
    "fit": _fit,
    "evaluate": _evaluate,
    "calibrate": _calibrate,
    "promote": _promote,
    "trial": _trial,
    "search": _search,
}
