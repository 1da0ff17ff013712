"""A checkpoint's weights in bf16 numbers: `calibrate --bf16-weights-from`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.xray.checkpoint import read_checkpoint, write_contract
from app.xray.errors import TrainingError
from app.xray.replacing import replacing
from training.commands.judge import Judge
from training.data.folder import is_own_sample, splits_in
from training.evaluation.evaluate import evaluate
from training.network.bf16_weights import round_weights, some_inputs
from training.network.export import export_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console


def round_checkpoint(
    model: Path, data: Path, first_layer: str, out: Path, console: Console
) -> None:
    """Round the weights of the checkpoint at `model` into the one at `out`, see `round_weights`.

    Offsets, temperature, operating points and gate stay what they are. What depends on the weights
    is written anew: the known answers, the figures on test and at unseen hospitals, and the layer
    from which on bf16 will do.

    Raises:
        CheckpointError, DatasetError: as `Judge`.
        TrainingError: the file is no .h5, or cannot be written; it says that it was trained on
            other data; or as `round_weights`.
    """
    if model.suffix == ".keras":
        raise TrainingError(f"{model}: weights are rounded in .h5 files alone")
    if is_own_sample(data):
        raise TrainingError(f"{data}: has no train split, whose means rounded weights are to keep")
    judge = Judge(model, data, splits_in(data), console)
    contract, dataset = judge.checkpoint.contract, judge.dataset
    if contract.dataset and contract.dataset.fingerprint != dataset.summary.fingerprint:
        raise TrainingError(f"{data}: not the data that {model} was trained on, by its fingerprint")
    before = contract.calibrate(judge.answers("val").raw).argmax(axis=1)
    inputs = some_inputs(dataset.splits["train"].pixels, contract)
    count = round_weights(judge.network, first_layer, inputs)
    after = contract.calibrate(judge.answers("val").raw).argmax(axis=1)
    console.print(
        f"{count} convolutions from {first_layer} on have bf16 numbers for weights: "
        f"{(before == after).mean():.2%} of val's labels stay",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip
    on_test = evaluate(judge.answers("test"), dataset.splits["test"], contract, judge.sources)
    changes = {
        "metrics": judge.metrics(on_test),
        "known_answers": judge.runner.known_answers(),
        "precisions": {},
    }
    contract = contract.model_copy(update=changes)
    try:
        with replacing(out) as partial:
            export_checkpoint(judge.network, contract, partial)
            precisions = {"precisions": judge.precisions(read_checkpoint(partial))}
            write_contract(partial, contract.model_copy(update=precisions), partial)
    except OSError as error:
        raise TrainingError(f"{out}: cannot be written: {error}") from error
