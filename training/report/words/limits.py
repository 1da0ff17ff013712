"""What an examination says of shortcuts, and of pictures that are no chest X-ray."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from training.evaluation.examine import BORDER, LUNGS, MASKS
from training.evaluation.gate.fit import REFUSED_SHARE
from training.report.document import Picture, Pictures, Section, Table, join_words, with_interval

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from training.evaluation.examine import Examination
    from training.evaluation.gate.figures import GateFigures
    from training.evaluation.source_probe import Probe, ProbeResult


def describe_shortcuts(
    examination: Examination, example: NDArray[np.uint8] | None = None
) -> Section:
    """What it gets right without lungs, and whether it can tell where a picture is from.

    `example`, uint8 (height, width, 3), is shown as what blacking out makes of it.
    """
    whole = examination.evaluation
    commonest = float(np.bincount(whole.labels).max() / len(whole.labels))
    seen = {"the whole picture": whole, **examination.masked}
    rows = [
        (
            name,
            with_interval(found.headline["accuracy"]),
            with_interval(found.headline["macro_auroc"]),
        )
        for name, found in seen.items()
    ]
    nothing = ("nothing: always the commonest class", f"{commonest:.3f}", "0.500")
    by_source = [
        (source, *(f"{found.by_source[source].accuracy.value:.3f}" for found in seen.values()))
        for source in whole.by_source
    ]
    return Section(
        "shortcuts",
        "What it may have learned instead",
        (
            "A classifier that looks at lungs has nothing to go by once they are black (Maguolo "
            "and Nanni 2020), and less in the outermost frame. What it still tells apart there, it "
            "tells by letters, collimation, the body's outline or the scanner (DeGrave et al. "
            "2021). An area under the ROC curve (AUROC) of 0.5 is chance.",
            Table(("what it saw", "accuracy", "macro AUROC"), (*rows, nothing)),
            *([Table(("accuracy on", *seen), tuple(by_source))] if by_source else []),
            _what_masks_say(examination, commonest),
            *_what_the_probe_says(examination.probe),
            *([_masked(example)] if example is not None else []),
        ),
    )


def _masked(example: NDArray[np.uint8]) -> Pictures:
    seen: dict[str, Callable[[], NDArray[np.uint8]]] = {"the whole picture": lambda: example}
    seen |= {name: partial(_mask, mask, example) for name, mask in MASKS.items()}
    return Pictures(
        "photographs",
        tuple(
            Picture(draw, f"An example picture: {name}.", (name,)) for name, draw in seen.items()
        ),
    )


def _mask(
    mask: Callable[[NDArray[np.uint8]], NDArray[np.uint8]], example: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    masked: NDArray[np.uint8] = mask(example[np.newaxis])[0]
    return masked


def _what_masks_say(examination: Examination, commonest: float) -> str:
    lungs, border = (examination.masked[name].headline for name in (LUNGS, BORDER))
    found = (
        f"without lungs its accuracy is {lungs['accuracy'].value:.2f} and its AUROC "
        f"{lungs['macro_auroc'].value:.2f}, with the border alone {border['accuracy'].value:.2f} "
        f"and {border['macro_auroc'].value:.2f}, where naming the commonest class gives "
        f"{commonest:.2f} and 0.50."
    )
    if all(figures["macro_auroc"].low <= 0.5 for figures in (lungs, border)):
        return f"**What follows:** {found} On these pictures no shortcut of this kind shows."
    return (
        f"**What follows:** {found} So it tells classes apart by what is no lung, and part of the "
        "headline figure will not come along to another hospital."
    )


def _what_the_probe_says(probe: ProbeResult | None) -> tuple[str | Table, ...]:
    if probe is None:
        return ()
    table = Table(
        ("pictures", "number", "source told", "mean over sources", "commonest source"),
        tuple(
            (
                name,
                str(found.pictures),
                with_interval(found.accuracy),
                with_interval(found.balanced_accuracy),
                f"{found.commonest:.3f}",
            )
            for name, found in {"all": probe.overall, **probe.within_class}.items()
        ),
    )
    visible = [name for name, found in probe.within_class.items() if _is_visible(found)]
    told = (
        f"**What follows:** within {join_words(visible)} the source shows in the features: the "
        "network tells hospitals, or ages, apart, whether or not it makes use of it."
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


def describe_gate(gate: GateFigures) -> Section:
    """What it takes for a chest X-ray."""
    everything = {
        "chest X-rays, as they are": gate.xrays,
        **({"chest X-rays of hospitals it never saw": gate.unseen} if gate.unseen else {}),
        **{f"chest X-rays, with a {color} border": found for color, found in gate.bordered.items()},
        **{
            f"chest X-rays of {source}, fitted without them": found
            for source, found in gate.elsewhere.items()
        },
        **gate.strangers,
        **{f"chest X-rays, {kind}": found for kind, found in gate.hard_cases.items()},
    }
    return Section(
        "gate",
        "What it takes for a chest X-ray",
        (
            "Before an answer is given, a gate tells frontal chest X-rays from everything else. "
            f"Its threshold, {gate.threshold:.3f}, was set so that at most {REFUSED_SHARE:.0%} of "
            "chest X-rays lie beyond it, of any source that it was not fitted to where there are "
            "several. What lies beyond is looked at black for white, and refused if that does "
            "not pass either; else the negative is answered, with a warning. Other things were "
            "judged by gates that had not been fitted to those very pictures.",
            Table(
                ("pictures", "number", "beyond the threshold", "refused"),
                tuple(
                    (kind, str(found.pictures), f"{found.beyond:.1%}", f"{found.refused:.1%}")
                    for kind, found in everything.items()
                ),
            ),
        ),
    )
