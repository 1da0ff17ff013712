"""What a page shows of the epochs of a run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from training.report.document import Picture, Pictures, Section
from training.report.pictures.plots import draw_curves

if TYPE_CHECKING:
    from training.report.pictures.plots import History, Keep


def describe_history(history: History, keep: Keep = "best") -> Section:
    """Loss and accuracy over the epochs, and which of them was kept."""
    epochs = len(history["loss"])
    curves = tuple(
        Picture(
            partial(draw_curves, history, name, keep),
            f"{name.capitalize()} on train and val over the epochs.",
        )
        for name in ("loss", "accuracy")
    )
    return Section(
        "training",
        "Training",
        (
            f"Over {epochs} epoch{'' if epochs == 1 else 's'}. Kept is "
            + (
                "the last, whatever its validation accuracy."
                if keep == "last"
                else "the first of those with the best validation accuracy."
            ),
            Pictures("figures", curves),
        ),
    )
