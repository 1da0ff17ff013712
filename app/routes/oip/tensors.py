"""Tensors as the Open Inference Protocol v2 has them in HTTP bodies.

In JSON, or raw as Triton's "binary tensor data extension" has them. Nothing here knows what a
tensor is of.
"""

from __future__ import annotations

import struct
from base64 import b64decode
from binascii import Error as NotBase64
from math import prod
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from app.xray.errors import MalformedRequest

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST: Final = 16
"""Tensors of a request, and dimensions of a tensor."""
_SIZE: Final = struct.Struct("<I")
"""Before each element of BYTES that comes raw."""
_MOST_ELEMENTS: Final = 1 << 31
_MOST_BYTES_ELEMENTS: Final = 1024

Text = Annotated[str, Field(max_length=128)]
"""A name, short enough to be given back in an answer."""


class Described(BaseModel):
    """What the JSON says of a tensor, as it stands there: nothing is converted."""

    model_config = ConfigDict(strict=True)

    name: Text
    datatype: Text
    shape: Annotated[list[Annotated[int, Field(ge=0, lt=_MOST_ELEMENTS)]], Field(max_length=MOST)]
    parameters: dict[Text, Any] = {}
    data: Any = None


class Tensor(NamedTuple):
    """One tensor; `data` is float32 of `shape` (FP32), bool (BOOL), or a list (BYTES)."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: NDArray[Any] | list[bytes]


def from_json(described: Described) -> Tensor:
    """The tensor whose elements stand in the JSON: numbers, or strings in base64 (BYTES).

    Raises:
        MalformedRequest: they are others, or fewer or more than its shape says.
    """
    name, count = described.name, prod(described.shape)
    if described.data is None:
        raise MalformedRequest(f"Input {name!r} has neither data nor a binary_data_size.")
    if described.datatype == "BYTES":
        _refuse_if_many(described)
        data = described.data if isinstance(described.data, list) else [described.data]
        if len(data) != count:
            raise _does_not_fit(described, len(data))
        try:
            elements = [b64decode(element, validate=True) for element in data]
        except (TypeError, ValueError, NotBase64) as error:
            raise MalformedRequest(f"Input {name!r}: expected strings in base64.") from error
        return _tensor(described, elements, len(elements))
    _refuse_unless_float(described)
    try:
        numbers = np.asarray(described.data)
    except ValueError as error:  # lists of different lengths
        raise MalformedRequest(f"Input {name!r}: expected {count} numbers.") from error
    if numbers.dtype.kind not in "iuf":
        raise MalformedRequest(f"Input {name!r}: expected {count} numbers.")
    if numbers.ndim > 1 and numbers.shape != tuple(described.shape):
        raise MalformedRequest(
            f"Input {name!r} is nested as {list(numbers.shape)}, its shape {described.shape}."
        )
    with np.errstate(over="ignore"):  # infinity says it
        return _tensor(described, numbers.astype(np.float32), numbers.size)


def from_raw(described: Described, raw: memoryview) -> Tensor:
    """The tensor whose elements are `raw`; each of BYTES behind its length, uint32.

    Raises:
        MalformedRequest: as `from_json`.
    """
    if described.datatype == "BYTES":
        _refuse_if_many(described)
        count, elements = prod(described.shape), list[bytes]()
        while raw:
            if len(elements) == count:
                raise MalformedRequest(
                    f"Input {described.name!r} has more elements than its shape {described.shape}."
                )
            if len(raw) < _SIZE.size or len(raw) - _SIZE.size < (size := _SIZE.unpack(raw[:4])[0]):
                raise MalformedRequest(f"Input {described.name!r}: an element is cut short.")
            elements.append(bytes(raw[_SIZE.size : _SIZE.size + size]))
            raw = raw[_SIZE.size + size :]
        return _tensor(described, elements, len(elements))
    _refuse_unless_float(described)
    if len(raw) % 4:
        raise MalformedRequest(f"Input {described.name!r}: {len(raw)} bytes are no FP32 numbers.")
    numbers = np.frombuffer(raw, "<f4")
    return _tensor(described, numbers, numbers.size)


def _refuse_unless_float(described: Described) -> None:
    if described.datatype != "FP32":
        raise MalformedRequest(
            f"Input {described.name!r} is {described.datatype!r}; expected FP32 or BYTES."
        )


def _refuse_if_many(described: Described) -> None:
    if prod(described.shape) > _MOST_BYTES_ELEMENTS:
        raise MalformedRequest(
            f"Input {described.name!r} has the shape {described.shape}: more than "
            f"{_MOST_BYTES_ELEMENTS} elements of BYTES."
        )


def _does_not_fit(described: Described, count: int) -> MalformedRequest:
    shape = described.shape
    return MalformedRequest(
        f"Input {described.name!r} has {count} elements, its shape {shape} {prod(shape)}."
    )


def _tensor(described: Described, data: NDArray[Any] | list[bytes], count: int) -> Tensor:
    shape = tuple(described.shape)
    if count != prod(shape):
        raise _does_not_fit(described, count)
    try:
        shaped = data if isinstance(data, list) else data.reshape(shape)
    except ValueError as error:  # no elements, and sides beyond what an array may have
        raise _does_not_fit(described, count) from error
    return Tensor(described.name, described.datatype, shape, shaped)


def to_raw(tensor: Tensor) -> bytes:
    """The elements as `from_raw` takes them."""
    if isinstance(tensor.data, list):
        return b"".join(_SIZE.pack(len(element)) + element for element in tensor.data)
    order = tensor.data.dtype.newbyteorder("<")
    return tensor.data.astype(order).tobytes()
