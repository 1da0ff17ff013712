"""What an examination says of how sure the network is, and how rightly."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from training.evaluation.calibrate import SENSITIVITY
from training.evaluation.metrics import CALIBRATION_BINS
from training.evaluation.sample import OWN
from training.report.document import Picture, Pictures, Section, Table, with_interval
from training.report.pictures.plots import draw_reliability, stages

if TYPE_CHECKING:
    from app.xray.contract import ModelContract
    from training.evaluation.evaluate import Evaluation

_BINS: Final = (
    f"The pictures in {CALIBRATION_BINS} equal bins by the probability of their answer: above, how "
    "many were right, with Wilson's 95 % interval (1927); below, how many they are."
)


ADVICE: Final = (
    "Every hospital is another: it should calibrate on pictures of its own, `calibrate --data "
    "YOURS` with YOURS/val/CLASS/*."
)


def spell_ground(contract: ModelContract) -> str:
    """What a calibration was fitted on, and so of which hospitals it was measured: a sentence."""
    ground = contract.calibrated_on
    if ground is None:
        return "Fitted on val, known hospitals only; the file does not say what it came to."
    pictures = f"{ground.pictures:,} pictures"
    if ground.sources_left_out:
        return (
            f"Fitted by sources left out ({', '.join(ground.sources_left_out)}): on {pictures}, "
            "theirs as networks answered them that did not know these sources, and those of val. "
            "Measured on each source with points that its pictures had no part in."
        )
    if ground.split == OWN:
        return f"Fitted on {pictures} of {OWN}, and measured on parts of them left out in turn."
    return (
        f"Fitted on {pictures} of {ground.split}, known hospitals only, and measured on parts of "
        "them left out in turn: at another hospital expect less."
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
            f"{spell_ground(contract)}{_spell_coverage(contract)}",
            *_spell_offsets(contract),
            f"Temperature {contract.temperature:.3f} (Guo et al. 2017): of the temperatures that "
            "these pictures cannot tell from the best, by one standard error, that nearest to 1. "
            "ECE is the expected calibration error; of both figures less is better.",
            Table(
                ("probabilities", "ECE", "Brier score"),
                tuple(
                    (name, with_interval(found.ece), with_interval(found.brier))
                    for name, found in (("as they come", before), ("calibrated", after))
                ),
            ),
            f"Operating points: the highest threshold that a further picture of the class reaches "
            f"in {SENSITIVITY:.0%} of all (split conformal prediction by class, Vovk 2012). An "
            "answer is called uncertain unless its label, and no other class, "
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


def _spell_offsets(contract: ModelContract) -> tuple[str, ...]:
    """What is added to the logits, where anything is."""
    if not any(contract.offsets.values()):
        return ()
    added = ", ".join(f"{value:+.3f} ({name})" for name, value in contract.offsets.items())
    return (
        f"To the logits is added: {added} (Alexandari et al. 2020). It is the smallest share of "
        "the best-fitting constants that these pictures cannot tell from the whole.",
    )


def describe_sets(evaluation: Evaluation) -> str:
    """How large the prediction sets are, and how often one of a single class is wrong."""
    found = evaluation.set_figures
    return (
        f"A prediction set has the classes that reach their operating points: {found.size:.2f} on "
        f"average. Of the {found.of_one:,} sets of one class {found.of_one_wrong:,} are wrong."
    )


def _spell_coverage(contract: ModelContract) -> str:
    """How many sets hold the truth, as far as that is known."""
    ground = contract.calibrated_on
    if ground is None or ground.coverage_found is None:
        return ""
    return (
        f" Of 100 sets {ground.coverage_asked * 100:.0f} were to hold the truth, and "
        f"{ground.coverage_found * 100:.1f} did."
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
