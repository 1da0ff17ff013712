"""`calibrate`: a checkpoint's offsets, temperature, operating points and gate, fitted anew."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from app.xray.errors import TrainingError
from training.commands.flags import add_data, add_strangers
from training.data.folder import find_files, is_own_sample, splits_to_calibrate_on
from training.data.manifest import sources_of
from training.report.document import with_interval

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from rich.console import Console

    from app.xray.contract import LowerPrecision
    from training.evaluation.evaluate import Evaluation
    from training.evaluation.sample import Found

HELP: Final = "fit temperature, operating points and gate of a checkpoint anew"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `calibrate`."""
    add_data(parser)
    parser.add_argument("--model", type=Path, required=True, metavar="FILE")
    add_strangers(parser)
    alone = parser.add_mutually_exclusive_group()
    alone.add_argument(
        "--gate", action="store_true", help="the gate alone; all else stays as it is"
    )
    alone.add_argument(
        "--bf16-weights-from", metavar="LAYER",
        help="round the weights from there on to bf16 numbers; thresholds and gate stay",
    )  # fmt: skip
    parser.add_argument(
        "--left-out",
        type=Path,
        nargs="+",
        default=[],
        metavar="RUN",
        help="fit on what these runs of fit --leave-out answer for the sources they did not know",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="the calibrated checkpoint (written over --model)"
    )


def run(options: argparse.Namespace, console: Console) -> None:
    """Calibrate, and print the figures before and after.

    Raises:
        CheckpointError, DatasetError, TrainingError: as `calibrate_checkpoint`.
    """
    out = options.out or options.model
    refuse_bad_out(out, options.model, options.data)

    from training.report.terminal import print_gate, print_sets, track

    if options.gate:
        if is_own_sample(options.data):
            raise TrainingError(f"{options.data}: has no train split, which a gate is fitted to")

        from training.evaluation.gate.anew import fit_gate_anew

        reading = track(console, "decoding")
        gate = fit_gate_anew(options.model, options.data, out, options.strangers, reading)
        print_gate(gate, console)
        _print_written(options.model, out, console)
        return
    if options.bf16_weights_from:
        from training.train.rounding import round_checkpoint

        layer, reading = options.bf16_weights_from, track(console, "decoding")
        rounded = round_checkpoint(options.model, options.data, layer, out, reading)
        console.print(
            f"{rounded.convolutions} convolutions from {layer} on have bf16 numbers for weights: "
            f"{rounded.same_label:.2%} of val's labels stay in float32",
            highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
        _print_cut(rounded.cut, console)
        _print_written(options.model, out, console)
        return
    found = calibrate_checkpoint(
        options.model, options.data, console, out, options.left_out, options.strangers
    )
    on = found.evaluation.split
    for name, evaluation in (
        ("as it was", found.before),
        ("likeliest", found.likeliest),
        ("taken: the nearest to 1 within one standard error", found.evaluation),
    ):
        temperature, ece = evaluation.contract.temperature, evaluation.headline["ece"]
        line = f"temperature {temperature:.3f}, ECE on {on} {with_interval(ece)}: {name}"
        console.print(line, highlight=False, soft_wrap=True)
    for name, offset in found.evaluation.contract.offsets.items():
        console.print(f"offset {offset:+.3f}: {name}", highlight=False, markup=False)
    for name, point in found.evaluation.contract.operating_points.items():
        console.print(f"operating point {point:.3f}: {name}", highlight=False, markup=False)
    print_sets(found.sets, found.before.contract, found.evaluation.contract, console)
    if found.evaluation.contract.ood:
        print_gate(found.evaluation.contract.ood, console)
    _print_written(options.model, out, console)


def _print_cut(cut: LowerPrecision | None, console: Console) -> None:
    console.print(
        f"bf16 from layer {cut.from_layer} on: {cut.same_label:.2%} of val's labels stay, a "
        f"probability moves by up to {cut.largest_difference:.3f}"
        if cut
        else "no layer was found from which on bf16 will do, by this CPU",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip


def _print_written(model: Path, out: Path, console: Console) -> None:
    written = (
        f"written to {out}; {model} is as it was"
        if out != model
        else f"written into {out}, which has another SHA-256 now: a card or a CXR_MODEL_SHA256 "
        "that names the old one is out of date"
    )
    console.print(written, highlight=False, markup=False, soft_wrap=True)


class Calibrated(NamedTuple):
    """What a checkpoint is worth on test, calibrated as it now is, and with other temperatures.

    On val where a hospital's own sample has no test.
    """

    evaluation: Evaluation
    before: Evaluation
    """As it was."""
    likeliest: Evaluation
    """With the temperature that the sample alone finds likeliest."""
    sets: Found
    """Prediction sets of pictures that the points they are made by were not fitted on."""


def refuse_bad_out(out: Path, model: Path, data: Path) -> None:
    """End before anything is loaded where the folder of X-rays or of the result is a wrong one.

    Raises:
        DatasetError: as `find_files`.
        TrainingError: `out` cannot be the name of a copy of `model`, or there is no such folder.
    """
    find_files(data, splits_to_calibrate_on(data))
    endings = (".keras",) if model.suffix == ".keras" else (".h5", ".hdf5")
    if out.suffix not in endings or out.name.endswith(".weights.h5"):
        raise TrainingError(f"--out: expected a name that ends in {endings[0]}, not {out}")
    if not out.absolute().parent.is_dir():
        raise TrainingError(f"--out: {out.parent}: no such folder")


def calibrate_checkpoint(
    model: Path,
    data: Path,
    console: Console,
    out: Path | None = None,
    left_out: Sequence[Path] = (),
    strangers: Path | None = None,
) -> Calibrated:
    """Fit offsets, temperature, operating points and gate of the checkpoint at `model` on `data`.

    On val; or with the runs `left_out` on what these answer for the sources that they did not know,
    too. They are written into a copy at `out`, or else into `model` itself. Its weights stay what
    they are. The figures on test are written into its contract too, with the known answers and,
    where this CPU can tell, the layer from which on bf16 will do.

    Where `data` is a hospital's own sample, `DATA/val/CLASS/*` without a train split, the gate
    stays as it is, and figures of what it answered elsewhere are taken out.

    Raises:
        CheckpointError, DatasetError: as `Judge` and `read_strangers`.
        TrainingError: the checkpoint says that it was trained on other data, or cannot be written;
            or as `refuse_misfit` and `pool_left_out`.
    """
    from app.xray.checkpoint import write_contract
    from training.commands.judge import Judge
    from training.commands.left_out import pool_left_out
    from training.evaluation import precision
    from training.evaluation.calibrate import calibrate_answers, likeliest_temperature
    from training.evaluation.caveats import few_pictures
    from training.evaluation.evaluate import evaluate
    from training.evaluation.gate.fit import Films, fit_gate
    from training.evaluation.gate.folder import read_strangers
    from training.evaluation.misfit import refuse_misfit
    from training.evaluation.sample import OWN, VAL, Sample
    from training.report.terminal import report_caveats

    is_own = is_own_sample(data)
    if is_own and left_out:
        raise TrainingError(f"{data}: has no train split; --left-out is for the data of training")
    judge = Judge(model, data, splits_to_calibrate_on(data), console)
    before = judge.checkpoint.contract
    trained_on = before.dataset and before.dataset.fingerprint
    if trained_on and trained_on != judge.dataset.summary.fingerprint and not is_own:
        raise TrainingError(
            f"{data}: not the data that {model} was trained on, by its fingerprint; a sample of "
            "your own hospital is a folder with val/CLASS/* and no train"
        )
    known, val = judge.dataset.splits["val"], judge.answers("val")
    sources = sources_of(known.files, judge.sources)
    report_caveats(few_pictures(before.classes, known.labels, gate=not is_own), console)
    sample = Sample.of_split(known.labels, val.raw, sources, OWN if is_own else VAL)
    try:
        refuse_misfit(before, sample)
    except TrainingError as error:
        raise TrainingError(f"{model} is not calibrated: {error}") from error
    if left_out:
        sample = pool_left_out(judge, data, sample, left_out, console)
    contract, sets = calibrate_answers(before, sample)
    if not is_own:
        train = Films.of(judge.dataset.splits["train"], judge.sources, before)
        val_films = Films.of(known, judge.sources, before)
        gate = fit_gate(train, val_films, read_strangers(before, strangers))
        contract = contract.model_copy(update={"ood": gate})
    best = likeliest_temperature(contract, sample.labels, sample.raw, sample.weights)
    likeliest = contract.model_copy(update={"temperature": best})
    judged = "test" if "test" in judge.dataset.splits else "val"
    answers = val if judged == "val" else judge.answers(judged)
    taken, as_it_was, by_sample = (
        evaluate(answers, judge.dataset.splits[judged], each, judge.sources)
        for each in (contract, before, likeliest)
    )
    found = Calibrated(taken, as_it_was, by_sample, sets)
    known_answers = (is_own and before.known_answers) or judge.runner.known_answers()
    cut = precision.find_cut(
        replace(judge.checkpoint, contract=contract), judge.dataset.splits["val"].pixels
    )
    _print_cut(cut, console)
    changes = {
        "metrics": {} if is_own else judge.metrics(found.evaluation),
        "known_answers": known_answers,
        "precisions": {"bf16": cut} if cut else {},
    }
    try:
        write_contract(model, contract.model_copy(update=changes), out or model)
    except OSError as error:
        raise TrainingError(f"{out or model}: cannot be written: {error}") from error
    return found
