"""`calibrate`: a checkpoint's temperature, operating points and gate, fitted anew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from app.xray.errors import TrainingError
from training.commands.flags import add_data
from training.data.folder import SPLITS, find_files
from training.report.document import with_interval

if TYPE_CHECKING:
    import argparse

    from rich.console import Console

    from training.evaluation.evaluate import Evaluation

HELP: Final = "fit temperature, operating points and gate of a checkpoint anew"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `calibrate`."""
    add_data(parser)
    parser.add_argument("--model", type=Path, required=True, metavar="FILE")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="the calibrated checkpoint (written over --model)"
    )


def run(options: argparse.Namespace, console: Console) -> None:
    """Calibrate, and print the figures before and after.

    Raises:
        CheckpointError, DatasetError, TrainingError: as `calibrate_checkpoint`.
    """
    out = options.out or options.model
    refuse_bad_out(out, options.data)
    found = calibrate_checkpoint(options.model, options.data, console, out)
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
    written = (
        f"written to {out}; {options.model} is as it was"
        if out != options.model
        else f"written into {out}, which has another SHA-256 now: a card or a CXR_MODEL_SHA256 "
        "that names the old one is out of date"
    )
    console.print(
        written,
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


class Calibrated(NamedTuple):
    """What a checkpoint is worth on test, calibrated as it now is, and with other temperatures."""

    evaluation: Evaluation
    before: Evaluation
    """As it was."""
    likeliest: Evaluation
    """With the temperature that val alone finds likeliest."""


def refuse_bad_out(out: Path, data: Path) -> None:
    """End before anything is loaded where the folder of X-rays or of the result is a wrong one.

    Raises:
        DatasetError: as `find_files`.
        TrainingError: `out` cannot be a checkpoint's name, or there is no such folder.
    """
    find_files(data)
    if out.suffix not in {".h5", ".hdf5"} or out.name.endswith(".weights.h5"):
        raise TrainingError(f"--out: expected a name that ends in .h5, not {out}")
    if not out.absolute().parent.is_dir():
        raise TrainingError(f"--out: {out.parent}: no such folder")


def calibrate_checkpoint(
    model: Path, data: Path, console: Console, out: Path | None = None
) -> Calibrated:
    """Fit temperature, operating points and gate of the checkpoint at `model` on `data`.

    They are written into a copy at `out`, or else into `model` itself. Its weights stay what they
    are. The figures on test are written into its contract too, with the known answers and, where
    this CPU can tell, the layer from which on bf16 will do.

    Raises:
        CheckpointError, DatasetError: as `Judge`.
        TrainingError: the checkpoint says that it was trained on other data, or cannot be written.
    """
    from training.commands.judge import Judge
    from training.evaluation.calibrate import calibrate, likeliest_temperature
    from training.evaluation.caveats import few_pictures
    from training.evaluation.evaluate import evaluate
    from training.evaluation.precision import find_cut
    from training.network.export import rewrite_contract
    from training.report.terminal import report_caveats

    judge = Judge(model, data, SPLITS, console)
    before = judge.checkpoint.contract
    if before.dataset and before.dataset.fingerprint != judge.dataset.summary.fingerprint:
        raise TrainingError(f"{data}: not the data that {model} was trained on, by its fingerprint")
    labels, val = judge.dataset.splits["val"].labels, judge.answers("val")
    report_caveats(few_pictures(before.classes, labels), console)
    contract = calibrate(before, labels, val, judge.answers("train"))
    temperature = likeliest_temperature(before, labels, val.raw)
    likeliest = contract.model_copy(update={"temperature": temperature})
    answers, test = judge.answers("test"), judge.dataset.splits["test"]
    found = Calibrated(
        *(evaluate(answers, test, each, judge.sources) for each in (contract, before, likeliest))
    )
    cut = find_cut(judge.checkpoint, judge.dataset.splits["val"].pixels)
    console.print(
        f"bf16 from layer {cut.from_layer} on: {cut.same_label:.2%} of val's labels stay, a "
        f"probability moves by up to {cut.largest_difference:.3f}"
        if cut
        else "no layer was found from which on bf16 will do, by this CPU",
        highlight=False,
        markup=False,
    )
    changes = {
        "metrics": found.evaluation.metrics,
        "known_answers": judge.runner.known_answers(),
        "precisions": {} if cut is None else {"bf16": cut},
    }
    try:
        rewrite_contract(model, contract.model_copy(update=changes), out)
    except OSError as error:
        raise TrainingError(f"{out or model}: cannot be written: {error}") from error
    return found
