"""Tensors in HTTP bodies, as the Open Inference Protocol v2 has them.

As JSON, or raw behind the JSON after Triton's "binary tensor data extension". Nothing here knows
what a tensor is of.
"""

from __future__ import annotations

import json
import struct
from base64 import b64decode
from binascii import Error as NotBase64
from math import prod
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from app.xray.errors import MalformedRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

HEADER: Final = "Inference-Header-Content-Length"
_SIZE: Final = struct.Struct("<I")
"""Before each element of BYTES that comes raw."""
_MOST: Final = 16
"""Tensors of a request, and dimensions of a tensor."""
_MOST_ELEMENTS: Final = 1 << 31


class _Input(BaseModel):
    name: str
    datatype: str
    shape: Annotated[list[Annotated[int, Field(ge=0, lt=_MOST_ELEMENTS)]], Field(max_length=_MOST)]
    parameters: dict[str, Any] = {}
    data: Any = None


class _Output(BaseModel):
    name: str
    parameters: dict[str, Any] = {}


class _Request(BaseModel):
    id: Annotated[str, Field(max_length=128)] | None = None
    inputs: Annotated[list[_Input], Field(min_length=1, max_length=_MOST)]
    outputs: Annotated[list[_Output], Field(max_length=_MOST)] = []
    parameters: dict[str, Any] = {}


class Tensor(NamedTuple):
    """One tensor; `data` is float32 of `shape` (FP32), bool (BOOL), or a list (BYTES)."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: NDArray[Any] | list[bytes]


class InferenceRequest(NamedTuple):
    """What is asked: the tensors, and which outputs are wanted, each raw (True) or as JSON.

    Without any named, all are, `is_raw` alike.
    """

    id: str | None
    inputs: list[Tensor]
    outputs: dict[str, bool]
    is_raw: bool


def read_request(body: bytes, json_bytes: str | None) -> InferenceRequest:
    """The request in `body`, whose first `json_bytes`, where that is given, are JSON.

    Raises:
        MalformedRequest: it is none; names the tensor and what was expected.
    """
    length = len(body) if json_bytes is None else _read_length(json_bytes, len(body))
    try:
        request = _Request.model_validate_json(body[:length])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "body"
        raise MalformedRequest(f"Not the protocol's JSON: {place}: {first['msg']}.") from error
    inputs, rest = [], memoryview(body)[length:]
    for described in request.inputs:
        size = described.parameters.get("binary_data_size")
        if size is None:
            inputs.append(_from_json(described))
            continue
        if not isinstance(size, int) or not 0 <= size <= len(rest):
            raise MalformedRequest(
                f"Input {described.name!r}: binary_data_size is {size!r}, and {len(rest)} bytes "
                "are left."
            )
        inputs.append(_from_raw(described, rest[:size]))
        rest = rest[size:]
    if rest:
        raise MalformedRequest(f"{len(rest)} bytes at the end belong to no input.")
    is_raw = bool(request.parameters.get("binary_data_output", False))
    outputs = {
        output.name: bool(output.parameters.get("binary_data", is_raw))
        for output in request.outputs
    }
    return InferenceRequest(request.id, inputs, outputs, is_raw)


def write_response(
    description: dict[str, Any], outputs: Sequence[tuple[Tensor, bool]]
) -> tuple[bytes, dict[str, str]]:
    """The body that carries `outputs`, each raw (True) or as JSON, and the headers it needs."""
    described, pieces = [], []
    for tensor, is_raw in outputs:
        entry: dict[str, Any] = {
            "name": tensor.name,
            "datatype": tensor.datatype,
            "shape": tensor.shape,
        }
        if is_raw:
            raw = _to_raw(tensor)
            entry["parameters"] = {"binary_data_size": len(raw)}
            pieces.append(raw)
        elif isinstance(tensor.data, list):
            entry["data"] = [element.decode() for element in tensor.data]
        else:
            entry["data"] = tensor.data.ravel().tolist()
        described.append(entry)
    head = json.dumps({**description, "outputs": described}).encode()
    if not pieces:
        return head, {"Content-Type": "application/json"}
    headers = {"Content-Type": "application/octet-stream", HEADER: str(len(head))}
    return b"".join([head, *pieces]), headers


def _read_length(given: str, available: int) -> int:
    if not (given.isascii() and given.isdecimal() and int(given[:12]) <= available):
        raise MalformedRequest(f"{HEADER} is no length within the {available} bytes of the body.")
    return int(given)


def _from_json(described: _Input) -> Tensor:
    name, count = described.name, prod(described.shape)
    if described.data is None:
        raise MalformedRequest(f"Input {name!r} has neither data nor a binary_data_size.")
    if described.datatype == "BYTES":
        data = described.data if isinstance(described.data, list) else [described.data]
        try:
            elements = [b64decode(element, validate=True) for element in data]
        except (TypeError, ValueError, NotBase64) as error:
            raise MalformedRequest(f"Input {name!r}: expected strings in base64.") from error
        return _tensor(described, elements, len(elements))
    _refuse_unless_float(described)
    try:
        with np.errstate(over="ignore"):  # infinity says it
            numbers = np.asarray(described.data, np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise MalformedRequest(f"Input {name!r}: expected {count} numbers.") from error
    return _tensor(described, numbers, numbers.size)


def _from_raw(described: _Input, raw: memoryview) -> Tensor:
    if described.datatype == "BYTES":
        elements = []
        while raw:
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


def _refuse_unless_float(described: _Input) -> None:
    if described.datatype != "FP32":
        raise MalformedRequest(
            f"Input {described.name!r} is {described.datatype!r}; expected FP32 or BYTES."
        )


def _tensor(described: _Input, data: NDArray[Any] | list[bytes], count: int) -> Tensor:
    shape = tuple(described.shape)
    if count != prod(shape):
        raise MalformedRequest(
            f"Input {described.name!r} has {count} elements, its shape {list(shape)} {prod(shape)}."
        )
    shaped = data if isinstance(data, list) else data.reshape(shape)
    return Tensor(described.name, described.datatype, shape, shaped)


def _to_raw(tensor: Tensor) -> bytes:
    if isinstance(tensor.data, list):
        return b"".join(_SIZE.pack(len(element)) + element for element in tensor.data)
    order = tensor.data.dtype.newbyteorder("<")
    return tensor.data.astype(order).tobytes()
