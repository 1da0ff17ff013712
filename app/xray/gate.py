"""Is it a chest X-ray at all? A distance in the network's own feature space."""

from __future__ import annotations

import base64
import binascii
import math
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Protocol, Self, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

Positive = Annotated[float, Field(gt=0)]


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


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PackedArray(_Frozen):
    """A float32 array as JSON holds it: its shape, and its little-endian bytes in base64."""

    shape: tuple[Annotated[int, Field(gt=0)], ...]
    base64: str

    @classmethod
    def pack(cls, array: NDArray[np.floating[Any]]) -> Self:
        """`array`, rounded to float32."""
        data = np.ascontiguousarray(array, dtype="<f4")
        return cls(shape=data.shape, base64=base64.b64encode(data.tobytes()).decode())

    @cached_property
    def values(self) -> NDArray[np.float32]:
        """float32 of `shape`, not to be written to."""
        data = base64.b64decode(self.base64, validate=True)
        return np.frombuffer(data, dtype="<f4").reshape(self.shape).astype(np.float32, copy=False)

    def __eq__(self, other: object) -> bool:
        # pydantic would compare what `values` keeps, too.
        return isinstance(other, PackedArray) and (self.shape, self.base64) == (
            other.shape,
            other.base64,
        )

    def __hash__(self) -> int:
        return hash((self.shape, self.base64))

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        try:
            data = base64.b64decode(self.base64, validate=True)
        except binascii.Error as error:
            raise ValueError("not base64") from error
        if len(data) != 4 * math.prod(self.shape):
            raise ValueError(f"{len(data)} bytes do not make float32 of shape {self.shape}")
        if not np.isfinite(np.frombuffer(data, dtype="<f4")).all():
            raise ValueError("holds what is no finite number")
        return self


class Gate(_Frozen):
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

    def judge(self, summaries: NDArray[np.floating[Any]]) -> list[Verdict]:
        """The verdict on each of the pictures that `summarise` gave `summaries` for, in order."""
        return [Verdict(score, self.threshold) for score in self.score(summaries).tolist()]

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
