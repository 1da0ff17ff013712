"""What a gate makes of a picture, and of its negative."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray


class Sight(NamedTuple):
    """What a gate may look at of n pictures; each is made only for a gate that asks for it."""

    pixels: Callable[[], NDArray[np.uint8]]
    """uint8 (n, height, width, 3): the pictures as the network sees them, as 8-bit RGB."""
    summaries: Callable[[], NDArray[np.float32]] | None
    """float32 (n, dimensions), see `app.xray.gate.features.summarise`; None without a map."""


class Judged(Protocol):
    """Whatever the gate has judged."""

    @property
    def is_strange(self) -> bool:
        """Whether the picture is taken for no chest X-ray."""


Seen = TypeVar("Seen", bound=Judged)


class Verdict(NamedTuple):
    """What the gate makes of a picture."""

    score: float
    threshold: float

    @property
    def is_strange(self) -> bool:
        """Whether the picture is taken for no chest X-ray."""
        return self.score > self.threshold


def second_look(
    first: Sequence[Seen], look_at_negatives: Callable[[list[int]], Sequence[Seen]]
) -> dict[int, Seen]:
    """What is seen of strange pictures' negatives where these are chest X-rays, by index.

    Exports, and DICOM files whose photometric interpretation is wrong, come black for white.
    `look_at_negatives` is given the indices of the strange ones among `first`, unless there are
    none, and gives what is seen of each one's negative, in order.
    """
    strange = [index for index, seen in enumerate(first) if seen.is_strange]
    if not strange:
        return {}
    again = zip(strange, look_at_negatives(strange), strict=True)
    return {index: seen for index, seen in again if not seen.is_strange}
