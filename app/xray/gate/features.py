"""The gate of contracts before the gate by outlines: a distance in the network's features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from app.xray.gate.packed import Frozen, PackedArray
from app.xray.gate.verdict import Verdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from app.xray.gate.verdict import Sight

Positive = Annotated[float, Field(gt=0)]


class FeatureGate(Frozen):
    """A Gaussian around the chest X-rays that the network was trained on.

    What is measured is a summary of the network's last feature map (see `summarise`), less `mean`
    and divided by `scale`. Its covariance is that of a probabilistic principal component analysis
    (Tipping and Bishop 1999, J. R. Stat. Soc. B 61, 611): `variances` along the orthonormal rows
    of `axes`, and `rest` in every other direction. The score is the Mahalanobis distance under it
    (Lee et al. 2018, "A Simple Unified Framework for Detecting Out-of-Distribution Samples and
    Adversarial Attacks", NeurIPS), divided by the square root of the number of dimensions: about 1
    for a picture like those. Above `threshold` a picture is no chest X-ray.
    """

    method: Literal["mahalanobis-ppca"] = "mahalanobis-ppca"
    mean: PackedArray
    scale: PackedArray
    axes: PackedArray
    variances: PackedArray
    rest: Positive
    threshold: Annotated[float, Field(gt=0)]
    refused_on_val: Annotated[float, Field(ge=0, le=1)]
    """The share of val, all of it chest X-rays, that lies above the threshold."""

    def score(self, summaries: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Scores (n,), 0 or more, of what `summarise` gives for n pictures, at least one.

        A picture's score is the same to the last bit whichever others it comes with.
        """
        centred = (summaries.astype(np.float32) - self.mean.values) / self.scale.values
        # One by one: a product of all rows at once rounds each by how many there are.
        along = np.stack([self.axes.values @ row for row in centred])
        total = np.square(centred, dtype=np.float64).sum(axis=1)
        inside = np.square(along, dtype=np.float64)
        outside = np.maximum(total - inside.sum(axis=1), 0)
        squares = (inside / self.variances.values).sum(axis=1) + outside / self.rest
        distances: NDArray[np.float64] = np.sqrt(squares / centred.shape[1])
        return distances

    def judge(
        self,
        sight: Sight,
        *,
        as_negatives: bool = False,  # noqa: ARG002  # as every gate is asked
    ) -> list[Verdict] | None:
        """The verdict on each picture, in order; None where the network has no map.

        `as_negatives` changes nothing: this gate takes a negative as it takes a picture.
        """
        if sight.summaries is None:
            return None
        return [Verdict(score, self.threshold) for score in self.score(sight.summaries()).tolist()]

    @model_validator(mode="after")
    def _shapes_agree(self) -> Self:
        dimensions, count = self.mean.shape, self.variances.shape
        if len(dimensions) != 1 or len(count) != 1:
            raise ValueError("mean and variances have one dimension each")
        if self.scale.shape != dimensions or self.axes.shape != (*count, *dimensions):
            raise ValueError(
                f"scale {self.scale.shape} and axes {self.axes.shape} do not go with mean "
                f"{dimensions} and variances {count}"
            )
        if not ((self.scale.values > 0).all() and (self.variances.values > 0).all()):
            raise ValueError("scale and variances are positive")
        return self


def summarise(feature_map: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of each channel over all places, then the largest value of each.

    float32 (n, 2 channels) of a feature map, float32 (n, rows, columns, channels).
    """
    places = (1, 2)
    return np.concatenate([feature_map.mean(axis=places), feature_map.max(axis=places)], axis=1)
