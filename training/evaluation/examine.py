"""What a checkpoint's headline figure does not tell: shortcuts, calibration, what it lets in."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from training.data.folder import UNSEEN
from training.data.manifest import UNKNOWN, sources_of
from training.evaluation.evaluate import Evaluation, evaluate
from training.evaluation.gate.figures import GateFigures, judge_gate
from training.evaluation.shortcuts import (
    Agreement,
    agreement_under_changes,
    black_out_lungs,
    keep_border,
)
from training.evaluation.source_probe import ProbeResult, probe_sources

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from app.xray.contract import Estimate, ModelContract
    from training.data.dataset import Split
    from training.network.runner import Answers, Runner

LUNGS: Final = "lungs blacked out"
BORDER: Final = "only the border"
MASKS: Final[Mapping[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]]] = {
    LUNGS: black_out_lungs,
    BORDER: keep_border,
}


@dataclass(frozen=True)
class Examination:
    """An evaluation, and what limits it.

    `masked` has the evaluation of the same pictures without lungs, and with nothing but the
    border; `probe` is None where no sources are known, `gate` where the contract has none.
    `unseen` is the evaluation at hospitals that no other split has a picture of; None where the
    data have none, or where it is them that `evaluation` is of. `known_sources` are those of
    training, () where none are known.
    """

    evaluation: Evaluation
    masked: dict[str, Evaluation]
    probe: ProbeResult | None
    agreement: dict[str, Agreement]
    gate: GateFigures | None
    unseen: Evaluation | None = None
    known_sources: tuple[str, ...] = ()

    @property
    def metrics(self) -> dict[str, Estimate]:
        """What a contract carries, see `metrics_of`."""
        return metrics_of(self.evaluation, self.unseen, self.known_sources)

    def write(self, folder: Path) -> None:
        """Write `examination.json`, all figures, and what `Evaluation.write` writes."""
        self.evaluation.write(folder)
        document = {
            "figures": _figures(self.evaluation),
            "masked": {name: _figures(found) for name, found in self.masked.items()},
            "source_probe": self.probe and _plain(asdict(self.probe)),
            "agreement": {name: _plain(asdict(found)) for name, found in self.agreement.items()},
            "gate": self.gate and asdict(self.gate),
            "unseen": self.unseen and _figures(self.unseen),
            "known_sources": self.known_sources,
        }
        (folder / "examination.json").write_text(json.dumps(document, indent=2) + "\n")


def metrics_of(
    evaluation: Evaluation, unseen: Evaluation | None, known_sources: Collection[str]
) -> dict[str, Estimate]:
    """What a contract carries: recall at hospitals never seen, by source and class, comes first.

    Those figures are called `unseen/SOURCE/CLASS`. Of `known_sources`, which training knows, there
    is none.
    """
    elsewhere = unseen.by_source_and_class if unseen else {}
    return {
        f"{UNSEEN}/{source}/{name}": figures.recall
        for source, found in elsewhere.items()
        if source not in known_sources
        for name, figures in found.items()
    } | evaluation.metrics


def examine(
    runner: Runner,
    contract: ModelContract,
    train: tuple[Split, Answers] | None,
    test: tuple[Split, Answers],
    sources: dict[str, str],
    unseen: tuple[Split, Answers] | None = None,
) -> Examination:
    """Judge the network of `runner` on one split; `train` is what its probe of sources learns from.

    Without it there is no such probe.

    `sources` maps files to where they came from, {} where that is not known. The network is run
    some ten times over the split. Of `unseen` only the answers and
    the gate are judged.
    """
    split, answers = test
    evaluation = evaluate(answers, split, contract, sources)
    masked = {
        name: evaluate(runner.run(mask(split.levels)), split, contract, sources)
        for name, mask in MASKS.items()
    }
    known_sources = sources_of(train[0].files, sources) if train else ()
    probe = None
    if train and evaluation.split != UNSEEN:  # whose sources the probe cannot have learned
        known, known_answers = train
        probe = probe_sources(
            known_answers.pooled,
            known_sources,
            answers.pooled,
            evaluation.sources,
            known.labels,
            split.labels,
            contract.classes,
        )
    agreement = agreement_under_changes(
        split.levels, lambda pixels: contract.calibrate(runner.run(pixels).raw)
    )
    gate = None
    if contract.ood:
        gate = judge_gate(contract.ood, runner, contract, test, unseen)
    elsewhere = evaluate(unseen[1], unseen[0], contract, sources) if unseen else None
    return Examination(
        evaluation,
        masked,
        probe,
        agreement,
        gate,
        elsewhere,
        tuple(sorted(set(known_sources) - {UNKNOWN})),
    )


def _figures(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation's figures as JSON has them."""
    figures = {
        "pictures": len(evaluation.files),
        "headline": evaluation.headline,
        "confusion": evaluation.confusion,
        "by_class": evaluation.by_class,
        "by_source": {name: found._asdict() for name, found in evaluation.by_source.items()},
        "by_source_and_class": {
            source: {name: figures._asdict() for name, figures in found.items()}
            for source, found in evaluation.by_source_and_class.items()
        },
        "calibration": {name: found._asdict() for name, found in evaluation.calibration.items()},
        "operating_points": {
            name: found._asdict() for name, found in evaluation.at_operating_points.items()
        },
        "mean_over_pairs": evaluation.mean_over_pairs,
        "sets": evaluation.set_figures._asdict(),
        "uncertain": int(evaluation.uncertain.sum()),
        "uncertain_and_wrong": int((evaluation.uncertain & evaluation.wrong).sum()),
        "wrong": int(evaluation.wrong.sum()),
    }
    return {name: _plain(value) for name, value in figures.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.model_dump() if hasattr(value, "model_dump") else value
