"""The gate that tells frontal chest films from everything else by their outlines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from app.xray.gate.packed import Frozen, PackedArray
from app.xray.gate.verdict import Verdict
from app.xray.gate.view import DIMENSIONS, describe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from app.xray.gate.verdict import Sight

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


class RefusedShare(Frozen):
    """Of so many pictures the share beyond the threshold, and that which is refused.

    Refused is what lies beyond as a negative too.
    """

    pictures: Annotated[int, Field(gt=0)]
    beyond: Share
    refused: Share


class OutlineGate(Frozen):
    """A logistic regression between frontal chest films and everything else.

    It looks at `app.xray.gate.view.describe`, and knows no network. The weights and the bias are
    such that the films' logits have their median at 0 and a deviation of 1, and that strangers lie
    above. The score is softplus(logit), which is above 0: 0.7 for a film like any other, and for
    a stranger nearly the number of deviations. Above `threshold` a picture is no chest film. A
    picture that is looked at as a negative must lie below `negative_threshold`, which is lower:
    negatives are rare, and a stranger shall not have two chances.
    """

    method: Literal["outlines-logistic"] = "outlines-logistic"
    weights: PackedArray
    bias: float
    threshold: Positive
    negative_threshold: Positive
    refused_on_val: Share
    """The share of val, all of it chest films, that lies above the threshold."""
    refused_elsewhere: dict[str, RefusedShare] = Field(default_factory=dict)
    """The films of each source, as a gate has them that was fitted without that source."""
    refused_strangers: dict[str, RefusedShare] = Field(default_factory=dict)
    """Strangers by kind, as a gate has them that was fitted without these very pictures."""

    def score(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Scores (n,), above 0, of n pictures, uint8 (n, height, width, 3), at least one.

        A picture's score is the same to the last bit whichever others it comes with.
        """
        return self.score_described(np.stack([describe(picture) for picture in pixels]))

    def score_described(self, described: NDArray[np.float32]) -> NDArray[np.float64]:
        """The same of what `describe` gives for n pictures, float32 (n, DIMENSIONS)."""
        weights = self.weights.values.astype(np.float64)
        # One by one: a product of all rows at once rounds each by how many there are.
        logits = np.array([weights @ row.astype(np.float64) for row in described]) + self.bias
        scores: NDArray[np.float64] = np.logaddexp(0, logits)
        return scores

    def judge(self, sight: Sight, *, as_negatives: bool = False) -> list[Verdict]:
        """The verdict on each picture, in order."""
        threshold = self.negative_threshold if as_negatives else self.threshold
        return [Verdict(score, threshold) for score in self.score(sight.pixels()).tolist()]

    @model_validator(mode="after")
    def _is_of_this_view(self) -> Self:
        if self.weights.shape != (DIMENSIONS,):
            raise ValueError(f"expected {DIMENSIONS} weights, not {self.weights.shape}")
        if self.negative_threshold > self.threshold:
            raise ValueError("negatives cannot be let in more easily than pictures")
        return self
