"""What an examination found, in words and tables: said once, for card, report and terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from training.calibrate import REFUSED_SHARE, SENSITIVITY
from training.examine import BORDER, LUNGS
from training.metrics import PER_CLASS

if TYPE_CHECKING:
    from app.xray.contract import Estimate
    from training.evaluate import Evaluation
    from training.examine import Examination, GateFigures
    from training.probe import Probe, ProbeResult
    from training.shortcuts import Share


class Table(NamedTuple):
    """Cells as text, row by row under a head."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Section(NamedTuple):
    """A title and what stands under it, in order; `key` names it for who adds a picture to it.

    In its texts `**words**` are of weight, as in Markdown.
    """

    key: str
    title: str
    parts: tuple[str | Table, ...]


def sections(examination: Examination) -> list[Section]:
    """All that is to be said of an examination, headline first."""
    evaluation = examination.evaluation
    found = [
        _figures(evaluation),
        _by_source(evaluation),
        _shortcuts(examination),
        _changes(examination),
        _calibration(evaluation),
    ]
    return [*found, _gate(examination.gate)] if examination.gate else found


def spell(name: str) -> str:
    """A headline figure's name as a person writes it."""
    return {"macro_f1": "macro F1", "macro_auroc": "macro AUROC", "ece": "ECE"}.get(name, name)


def interval(figure: Estimate | Share) -> str:
    """The 95 % interval of a figure, as text."""
    return f"{figure.low:.3f} to {figure.high:.3f}"


def _with_interval(figure: Estimate | Share) -> str:
    return f"{figure.value:.3f} ({interval(figure)})"


def _figures(evaluation: Evaluation) -> Section:
    return Section(
        "figures",
        "Figures",
        (
            f"On {len(evaluation.files):,} pictures that neither training nor the choice of the "
            "epoch saw. Intervals are 95 % bootstrap intervals (1,000 resamples of the pictures, "
            "percentiles); they are too narrow where a patient has several pictures, since patients "
            "are not resampled.",
            Table(
                ("figure", "value", "95 % interval"),
                tuple(
                    (spell(name), f"{figure.value:.3f}", interval(figure))
                    for name, figure in evaluation.headline.items()
                ),
            ),
            Table(
                ("class", "pictures", *PER_CLASS),
                tuple(
                    (name, str(evaluation.count(name)), *map(_with_interval, figures.values()))
                    for name, figures in evaluation.by_class.items()
                ),
            ),
            "What was answered, by the true class:",
            Table(
                ("true class", *evaluation.classes),
                tuple(
                    (name, *map(str, row))
                    for name, row in zip(
                        evaluation.classes, evaluation.confusion.tolist(), strict=True
                    )
                ),
            ),
        ),
    )


def _by_source(evaluation: Evaluation) -> Section:
    title = "Source by source"
    if not evaluation.sources:
        return Section("sources", title, ("The data came without a manifest of its sources.",))
    by_source = Table(
        ("source", "pictures", "accuracy", "macro AUROC", "true class: answers"),
        tuple(
            (
                name,
                str(found.pictures),
                _with_interval(found.accuracy),
                _with_interval(found.macro_auroc) if found.macro_auroc else "one class",
                "; ".join(
                    f"{truth}: {_answers(evaluation.classes, row)}"
                    for truth, row in zip(evaluation.classes, found.confusion.tolist(), strict=True)
                    if sum(row)
                ),
            )
            for name, found in evaluation.by_source.items()
        ),
    )
    by_both = Table(
        ("pictures of", "pictures", "recognised"),
        tuple(
            (name, str(count), _with_interval(figure))
            for name, (count, figure) in evaluation.recall_by_source_and_class.items()
        ),
    )
    return Section(
        "sources",
        title,
        (
            "This says more about a new hospital than the figure over all: where a source holds "
            "one class only, its accuracy can be had by knowing the source.",
            by_source,
            by_both,
        ),
    )


def _answers(classes: tuple[str, ...], row: list[int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in zip(classes, row, strict=True) if count)


def _shortcuts(examination: Examination) -> Section:
    whole = examination.evaluation
    commonest = float(np.bincount(whole.labels).max() / len(whole.labels))
    sources = tuple(whole.by_source)
    rows = [
        (
            name,
            _with_interval(found.headline["accuracy"]),
            _with_interval(found.headline["macro_auroc"]),
            *(f"{found.by_source[source].accuracy.value:.3f}" for source in sources),
        )
        for name, found in {"the whole picture": whole, **examination.masked}.items()
    ]
    nothing = ("nothing: always the commonest class", f"{commonest:.3f}", "0.500")
    return Section(
        "shortcuts",
        "What it may have learned instead",
        (
            "A classifier that looks at lungs has nothing to go by once they are black (Maguolo "
            "and Nanni 2020), and less in the outermost frame. What it still tells apart there, it "
            "tells by letters, collimation, the body's outline or the scanner (DeGrave et al. "
            "2021). An area under the ROC curve (AUROC) of 0.5 is chance.",
            Table(
                ("what it saw", "accuracy", "macro AUROC", *(f"accuracy, {s}" for s in sources)),
                (*rows, (*nothing, *[""] * len(sources))),
            ),
            _what_masks_say(examination, commonest),
            *_what_the_probe_says(examination.probe),
        ),
    )


def _what_masks_say(examination: Examination, commonest: float) -> str:
    lungs, border = (examination.masked[name].headline for name in (LUNGS, BORDER))
    found = (
        f"without lungs its accuracy is {lungs['accuracy'].value:.2f} and its AUROC "
        f"{lungs['macro_auroc'].value:.2f}, with the border alone {border['accuracy'].value:.2f} "
        f"and {border['macro_auroc'].value:.2f}, where naming the commonest class gives "
        f"{commonest:.2f} and 0.50."
    )
    if all(figures["macro_auroc"].low <= 0.5 for figures in (lungs, border)):
        return f"**What follows:** {found} No shortcut of this kind shows."
    return (
        f"**What follows:** {found} So it tells classes apart by what is no lung, and part of the "
        "headline figure will not come along to another hospital."
    )


def _what_the_probe_says(probe: ProbeResult | None) -> tuple[str | Table, ...]:
    if probe is None:
        return ()
    table = Table(
        ("pictures", "number", "source told", "mean over the sources", "always the commonest"),
        tuple(
            (
                name,
                str(found.pictures),
                _with_interval(found.accuracy),
                _with_interval(found.balanced_accuracy),
                f"{found.commonest:.3f}",
            )
            for name, found in {"of all classes": probe.overall, **probe.within_class}.items()
        ),
    )
    visible = [name for name, found in probe.within_class.items() if _is_visible(found)]
    told = (
        f"**What follows:** within {_and(visible)} the source shows in the features: the network "
        "tells hospitals, or ages, apart, whether or not it makes use of it."
        if visible
        else "Within a class the source is told no better than by always naming the commonest."
    )
    left_out = "".join(f" {name} is left out: {why}." for name, why in probe.left_out.items())
    return (
        "How well a linear probe (Alain and Bengio 2016) tells the source of a picture from the "
        "features that the head sees. Class and source are entangled, so only the rows within one "
        f"class say that the source itself can be seen.{left_out}",
        table,
        told,
    )


def _is_visible(probe: Probe) -> bool:
    return (
        probe.balanced_accuracy.low > 1 / len(probe.sources)
        and probe.accuracy.low > probe.commonest
    )


def _changes(examination: Examination) -> Section:
    least = min(found.same.value for found in examination.agreement.values())
    return Section(
        "changes",
        "Small changes",
        (
            "The same pictures, moved, turned, brighter or darker by little, which alters nothing "
            f"of what the patient has. The label stays for at least {least:.1%}.",
            Table(
                ("change", "same label", "mean change of its probability"),
                tuple(
                    (name, _with_interval(found.same), f"{found.drift:.3f}")
                    for name, found in examination.agreement.items()
                ),
            ),
        ),
    )


def _calibration(evaluation: Evaluation) -> Section:
    contract, title = evaluation.contract, "How sure"
    before, after = evaluation.calibration["before"], evaluation.calibration["after"]
    if not contract.is_calibrated:
        text = (
            "Not calibrated: its expected calibration error (ECE) is "
            f"{_with_interval(before.ece)}, its Brier score {_with_interval(before.brier)}. A "
            "confidence of 0.9 does not mean right nine times in ten."
        )
        return Section("calibration", title, (text,))
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
                    (name, _with_interval(found.ece), _with_interval(found.brier))
                    for name, found in (("as they come", before), ("calibrated", after))
                ),
            ),
            f"Operating points: the highest threshold that {SENSITIVITY:.0%} of a class's val "
            "pictures reach. An answer is uncertain where no class reaches its own; here that is "
            f"{evaluation.uncertain_share or 0:.1%} of the pictures.",
            Table(
                ("class", "operating point", "sensitivity", "false positive rate"),
                tuple(
                    (
                        name,
                        f"{found.threshold:.3f}",
                        _with_interval(found.sensitivity),
                        _with_interval(found.false_positive_rate),
                    )
                    for name, found in evaluation.at_operating_points.items()
                ),
            ),
        ),
    )


def _gate(gate: GateFigures) -> Section:
    everything = {
        "chest X-rays, as they are": gate.xrays,
        **gate.strangers,
        **{f"chest X-rays, {kind}": found for kind, found in gate.hard_cases.items()},
    }
    return Section(
        "gate",
        "What it takes for a chest X-ray",
        (
            "Before an answer is given, the distance of the picture from the chest X-rays of "
            "training is measured in the network's own features (Mahalanobis distance, Lee et al. "
            f"2018). The threshold, {gate.threshold:.3f}, was set on val so that at most "
            f"{REFUSED_SHARE:.0%} of chest X-rays lie beyond it; of another hospital's it may be "
            "more. What lies beyond is looked at black for white, and refused if that lies beyond "
            "too; else the negative is answered, with a warning.",
            Table(
                ("pictures", "number", "beyond the threshold", "refused"),
                tuple(
                    (kind, str(found.pictures), f"{found.beyond:.1%}", f"{found.refused:.1%}")
                    for kind, found in everything.items()
                ),
            ),
        ),
    )


def _and(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
