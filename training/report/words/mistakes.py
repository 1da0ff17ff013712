"""What a page shows of the mistakes that the network was surest of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.report.document import Picture, Pictures, Section, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.evaluation.mistakes import Mistake


def describe_mistakes(mistakes: Sequence[Mistake]) -> Section:
    """Each with its picture, and beside it the heat map of the answer where there is one."""
    words = (
        "The wrong answers with the highest probability, the surest first. Each picture is shown "
        "as the network sees it, made square."
        if mistakes
        else "No answer was wrong."
    )
    if any(mistake.heat is not None for mistake in mistakes):
        words += (
            " Beside it, where the network saw what it answered (Grad-CAM, Selvaraju et al. 2017): "
            "the brighter, the more that place speaks for the answer, measured within each picture "
            "alone. It says where, not why, and is no proof."
        )
    cards = Pictures("mistakes", tuple(map(_card, mistakes)))
    return Section("mistakes", "The surest mistakes", (words, cards))


def _card(mistake: Mistake) -> Picture:
    heat, name = mistake.heat, printable(mistake.file)
    beside = None
    if heat is not None:
        beside = Picture(lambda: heat, f"The same under the heat map of {mistake.answer}.")
    return Picture(
        lambda: mistake.picture,
        f"{name} as the network sees it.",
        (
            f"answered **{mistake.answer}** {mistake.probability:.3f}",
            f"truly **{mistake.truth}** {mistake.of_truth:.3f}",
            f"{mistake.source} · {name}" if mistake.source else name,
        ),
        beside,
    )
