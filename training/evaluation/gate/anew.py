"""The gate of a checkpoint, fitted anew; all else of its contract stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.xray.checkpoint import read_checkpoint, write_contract
from app.xray.errors import TrainingError
from training.data.dataset import load_dataset, untracked
from training.data.folder import find_files
from training.data.manifest import read_sources
from training.evaluation.gate.fit import Films, fit_gate
from training.evaluation.gate.folder import read_strangers

if TYPE_CHECKING:
    from pathlib import Path

    from app.xray.gate import OutlineGate
    from training.data.dataset import Track


def fit_gate_anew(
    model: Path,
    data: Path,
    out: Path,
    strangers: Path | None = None,
    track: Track = untracked,
) -> OutlineGate:
    """Fit the gate of the checkpoint at `model` on `data`, and write it into the one at `out`.

    Nothing else of its contract changes, and the network is not run.

    Raises:
        CheckpointError: as `read_checkpoint`.
        DatasetError: as `load_dataset` and `read_strangers`.
        TrainingError: the checkpoint says that it was trained on other data, or cannot be written.
    """
    classes, _ = find_files(data)
    contract = read_checkpoint(model, classes=classes).contract
    other_things = read_strangers(contract, strangers)
    dataset = load_dataset(data, contract, track=track)
    if contract.dataset and contract.dataset.fingerprint != dataset.summary.fingerprint:
        raise TrainingError(f"{data}: not the data that {model} was trained on, by its fingerprint")
    sources = read_sources(data)
    train, val = (Films.of(dataset.splits[name], sources, contract) for name in ("train", "val"))
    gate = fit_gate(train, val, other_things)
    try:
        write_contract(model, contract.model_copy(update={"ood": gate}), out)
    except OSError as error:
        raise TrainingError(f"{out}: cannot be written: {error}") from error
    return gate
