"""A checkpoint whose weights are rounded to bf16 numbers, all that depends on them found anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from app.xray.checkpoint import read_checkpoint, write_contract
from app.xray.errors import TrainingError
from app.xray.network import build_network
from app.xray.replacing import replacing
from training.data.dataset import load_dataset, untracked
from training.data.folder import UNSEEN, is_own_sample, splits_in
from training.data.manifest import read_sources, sources_of
from training.evaluation import precision
from training.evaluation.evaluate import evaluate
from training.evaluation.examine import metrics_of
from training.network.bf16_weights import round_weights, some_inputs
from training.network.export import export_checkpoint
from training.network.runner import Runner

if TYPE_CHECKING:
    from pathlib import Path

    from app.xray.contract import LowerPrecision
    from training.data.dataset import Track


class Rounded(NamedTuple):
    """What was rounded, and what that left as it was."""

    convolutions: int
    same_label: float
    """The share of val's pictures that keep their label, in float32."""
    cut: LowerPrecision | None
    """From which layer on bf16 will do now."""


def round_checkpoint(
    model: Path, data: Path, first_layer: str, out: Path, track: Track = untracked
) -> Rounded:
    """Round the weights of the checkpoint at `model` into the one at `out`, see `round_weights`.

    Offsets, temperature, operating points and gate stay what they are. What depends on the weights
    is written anew: the known answers, the figures on test and at unseen hospitals, and the layer
    from which on bf16 will do.

    Raises:
        CheckpointError: as `read_checkpoint` and `build_network`.
        DatasetError: as `load_dataset` and `read_sources`.
        TrainingError: the file is no .h5, or cannot be written; it says that it was trained on
            other data; or as `round_weights`.
    """
    if model.suffix == ".keras":
        raise TrainingError(f"{model}: weights are rounded in .h5 files alone")
    if is_own_sample(data):
        raise TrainingError(f"{data}: has no train split, whose means rounded weights are to keep")
    checkpoint = read_checkpoint(model)
    contract, sources = checkpoint.contract, read_sources(data)
    dataset = load_dataset(data, contract, splits=splits_in(data), track=track)
    if contract.dataset and contract.dataset.fingerprint != dataset.summary.fingerprint:
        raise TrainingError(f"{data}: not the data that {model} was trained on, by its fingerprint")
    splits, network = dataset.splits, build_network(checkpoint)
    runner = Runner(network, contract)
    before = contract.calibrate(runner.run(splits["val"].pixels).raw).argmax(axis=1)
    inputs = some_inputs(splits["train"].pixels, contract)
    convolutions = round_weights(network, first_layer, inputs)
    after = contract.calibrate(runner.run(splits["val"].pixels).raw).argmax(axis=1)
    on_test, *unseen = (
        evaluate(runner.run(splits[name].pixels), splits[name], contract, sources)
        for name in ("test", UNSEEN)
        if name in splits
    )
    known_sources = sources_of(splits["train"].files, sources)
    changes = {
        "metrics": metrics_of(on_test, unseen[0] if unseen else None, known_sources),
        "known_answers": runner.known_answers(),
        "precisions": {},
    }
    contract = contract.model_copy(update=changes)
    try:
        with replacing(out) as partial:
            export_checkpoint(network, contract, partial)
            cut = precision.find_cut(read_checkpoint(partial), splits["val"].pixels)
            precisions = {"precisions": {"bf16": cut} if cut else {}}
            write_contract(partial, contract.model_copy(update=precisions), partial)
    except OSError as error:
        raise TrainingError(f"{out}: cannot be written: {error}") from error
    return Rounded(convolutions, float((before == after).mean()), cut)
