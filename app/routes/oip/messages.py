"""Requests and answers of the Open Inference Protocol v2, as HTTP bodies.

JSON describes tensors, whose elements stand in it, or raw behind it, after Triton's "binary tensor
data extension".
"""

from __future__ import annotations

import json
import re
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.routes.oip.tensors import MOST, Described, Tensor, Text, from_json, from_raw, to_raw
from app.xray.errors import MalformedRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

HEADER: Final = "Inference-Header-Content-Length"
_MOST_OBJECTS: Final = 1000
"""In the JSON; it has two for each tensor. Empty ones take a hundred times their size in memory."""
_QUICK_BYTES: Final = 1_000_000
_ELSEWHERE: Final = re.compile("shared_memory_.*|classification")
"""Parameters of Triton's other extensions, which would change what an answer means."""


class _Output(BaseModel):
    model_config = ConfigDict(strict=True)

    name: Text
    parameters: dict[Text, Any] = {}


class _Request(BaseModel):
    model_config = ConfigDict(strict=True)

    id: Text | None = None
    inputs: Annotated[list[Described], Field(min_length=1, max_length=MOST)]
    outputs: Annotated[list[_Output], Field(max_length=MOST)] = []
    parameters: dict[Text, Any] = {}


class InferenceRequest(NamedTuple):
    """An inference request: its tensors, and the outputs it wants, each raw (True) or as JSON.

    Without any named, all are, `is_raw` alike.
    """

    id: str | None
    inputs: list[Tensor]
    outputs: dict[str, bool]
    is_raw: bool


def takes_long(body: bytes, json_bytes: str | None) -> bool:
    """Whether `read_request` may take seconds and hundreds of megabytes: it is long JSON."""
    return _json_length(body, json_bytes) > _QUICK_BYTES


def read_request(body: bytes, json_bytes: str | None) -> InferenceRequest:
    """The request in `body`, whose first `json_bytes`, where that is given, are JSON.

    Raises:
        MalformedRequest: it is none; names the tensor and what was expected.
    """
    text = body[: _json_length(body, json_bytes)]
    _refuse_what_is_no_json(text, is_measured=json_bytes is not None)
    if text.count(b"{") > _MOST_OBJECTS:
        raise MalformedRequest("Not the protocol's JSON: it has thousands of objects.")
    try:
        request = _Request.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))[:128] or "body"
        raise MalformedRequest(f"Not the protocol's JSON: {place}: {first['msg']}.") from error
    _refuse_other_extensions(request)
    inputs, rest = [], memoryview(body)[len(text) :]
    for tensor in request.inputs:
        if "binary_data_size" not in tensor.parameters:
            inputs.append(from_json(tensor))
            continue
        size = tensor.parameters["binary_data_size"]
        if type(size) is not int or not 0 <= size <= len(rest):
            raise MalformedRequest(
                f"Input {tensor.name!r}: its binary_data_size is no number of the {len(rest)} "
                "bytes that are left."
            )
        inputs.append(from_raw(tensor, rest[:size]))
        rest = rest[size:]
    if rest:
        raise MalformedRequest(f"{len(rest)} bytes at the end belong to no input.")
    is_raw = _flag(request.parameters, "binary_data_output", default=False)
    outputs = {
        output.name: _flag(output.parameters, "binary_data", default=is_raw)
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
            raw = to_raw(tensor)
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


def _json_length(body: bytes, json_bytes: str | None) -> int:
    if json_bytes is None:
        return len(body)
    if not re.fullmatch("[0-9]{1,12}", json_bytes) or int(json_bytes) > len(body):
        raise MalformedRequest(f"{HEADER} is no length within the {len(body)} bytes of the body.")
    return int(json_bytes)


def _refuse_what_is_no_json(text: bytes, *, is_measured: bool) -> None:
    """Name what stands in the place of the JSON, as far as its first bytes tell."""
    start = text.lstrip()[:2]
    if start.startswith(b"--"):
        raise MalformedRequest(
            "Not the protocol's JSON: the body is a form. Send a picture in a form to /predict, or "
            "JSON as the body."
        )
    if not start.startswith((b"{", b"[")):
        raise MalformedRequest("Not the protocol's JSON: the body does not begin like any.")
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        how = (
            f"its first {len(text)} bytes, as {HEADER} counts them, are no text."
            if is_measured
            else f"it goes on with bytes that are no text. If these are a tensor, the header "
            f"{HEADER} has to say how many bytes are JSON."
        )
        raise MalformedRequest(f"Not the protocol's JSON: {how}") from error


def _refuse_other_extensions(request: _Request) -> None:
    inputs = [tensor.parameters for tensor in request.inputs]
    outputs = [tensor.parameters for tensor in request.outputs]
    for name in filter(_ELSEWHERE.fullmatch, chain(request.parameters, *inputs, *outputs)):
        raise MalformedRequest(f"The parameter {name!r} is of an extension that is not offered.")


def _flag(parameters: dict[str, Any], name: str, *, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise MalformedRequest(f"The parameter {name!r} is neither true nor false.")
    return value
