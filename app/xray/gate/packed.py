"""Arrays as a contract holds them."""

from __future__ import annotations

import base64
import binascii
import math
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Frozen(BaseModel):
    """What a contract holds: nothing changes it, and it has no field too many."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PackedArray(Frozen):
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
