"""What an examination says of how sure the network is, and how rightly."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from training.evaluation.calibrate import SENSITIVITY
from training.evaluation.metrics import CALIBRATION_BINS
from training.report.document import Picture, Pictures, Section, Table, with_interval
from training.report.pictures.plots import draw_reliability, stages

if TYPE_CHECKING:
    from training.evaluation.evaluate import Evaluation

_BINS: Final = (
    f"The pictures in {CALIBRATION_BINS} equal bins by the probability of their answer: above, how "
    "many were right, with Wilson's 95 % interval (1927); below, how many they are."
)


def describe_calibration(evaluation: Evaluation) -> Section:
    """How far the probabilities are from what happens, and what the operating points do."""
    contract, title = evaluation.contract, "How sure"
    before, after = evaluation.calibration["before"], evaluation.calibration["after"]
    if not contract.is_calibrated:
        text = (
            "Not calibrated: its expected calibration error (ECE) is "
            f"{with_interval(before.ece)}, its Brier score {with_interval(before.brier)}. A "
            "confidence of 0.9 does not mean right nine times in ten."
        )
        return Section("calibration", title, (text, _reliability(evaluation)))
    return Section(
        "calibration",
        title,
        (
            f"Temperature {contract.temperature:.3f} (Guo et al. 2017), fitted on val: of the "
            "temperatures that val cannot tell from the best, by one standard error, that nearest "
            "to 1. ECE is the expected calibration error; of both figures less is better.",
            Table(
                ("probabilities", "ECE", "Brier score"),
                tuple(
                    (name, with_interval(found.ece), with_interval(found.brier))
                    for name, found in (("as they come", before), ("calibrated", after))
                ),
            ),
            f"Operating points: the highest threshold that {SENSITIVITY:.0%} of a class's val "
            "pictures reach. An answer is called uncertain unless its label, and no other class, "
            f"reaches its own: here {evaluation.uncertain.sum()} of {len(evaluation.files):,} are, "
            f"with {(evaluation.uncertain & evaluation.wrong).sum()} of the "
            f"{evaluation.wrong.sum()} wrong ones among them. What is not called uncertain is not "
            "therefore sure: read the probability.",
            Table(
                ("class", "operating point", "sensitivity", "false positive rate"),
                tuple(
                    (
                        name,
                        f"{found.threshold:.3f}",
                        with_interval(found.sensitivity),
                        with_interval(found.false_positive_rate),
                    )
                    for name, found in evaluation.at_operating_points.items()
                ),
            ),
            _reliability(evaluation),
        ),
    )


def _reliability(evaluation: Evaluation) -> Pictures:
    words = {"before": "as they come", "after": "calibrated"}
    return Pictures(
        "figures",
        tuple(
            Picture(
                partial(draw_reliability, evaluation, stage),
                f"Reliability diagram of the probabilities {words[stage]}: how often an answer is "
                "right, by how sure it is.",
            )
            for stage in stages(evaluation)
        ),
        _BINS,
    )
