"""Bodies of the protocol, most of them broken or meant to break; no server is needed for it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from app.routes.oip.messages import read_request, takes_long
from app.xray.errors import MalformedRequest


def body(described: dict[str, Any], behind: bytes = b"", **rest: Any) -> tuple[bytes, str]:
    head = json.dumps({"inputs": [described], **rest}).encode()
    return head + behind, str(len(head))


def raw(datatype: str, shape: list[int], size: object, **parameters: Any) -> dict[str, Any]:
    parameters = {"binary_data_size": size, **parameters}
    return {"name": "x", "datatype": datatype, "shape": shape, "parameters": parameters}


def as_json(datatype: str, shape: list[int], data: object, **more: Any) -> dict[str, Any]:
    return {"name": "x", "datatype": datatype, "shape": shape, "data": data, **more}


@pytest.mark.parametrize(
    ("described", "behind"),
    [
        pytest.param(as_json("FP32", [2, 2], [1, 2.5, 3, 4]), b"", id="flat"),
        pytest.param(as_json("FP32", [2, 2], [[1, 2.5], [3, 4]]), b"", id="nested"),
        pytest.param(raw("FP32", [2, 2], 16), np.array([1, 2.5, 3, 4], "<f4").tobytes(), id="raw"),
    ],
)
def test_numbers_come_in_their_shape_however_they_are_written(
    described: dict[str, Any], behind: bytes
) -> None:
    asked = read_request(*body(described, behind))
    (tensor,) = asked.inputs
    assert isinstance(tensor.data, np.ndarray)
    assert tensor.data.dtype == np.float32
    assert tensor.data.tolist() == [[1, 2.5], [3, 4]]


def test_raw_strings_come_apart_at_their_lengths() -> None:
    asked = read_request(*body(raw("BYTES", [3], 15), b"\2\0\0\0ab\0\0\0\0\1\0\0\0c"))
    assert asked.inputs[0].data == [b"ab", b"", b"c"]


@pytest.mark.parametrize(
    ("described", "words"),
    [
        pytest.param(as_json("FP32", [2], ["1", "2"]), "expected 2 numbers", id="digits"),
        pytest.param(as_json("FP32", [2], [True, False]), "expected 2 numbers", id="flags"),
        pytest.param(as_json("FP32", [2], [1, None]), "expected 2 numbers", id="nothing"),
        pytest.param(as_json("FP32", [2], {"a": 1}), "expected 2 numbers", id="an-object"),
        pytest.param(as_json("FP32", [2], [[1], [1, 2]]), "expected 2 numbers", id="ragged"),
        pytest.param(as_json("FP32", [2, 3], [[1, 2]] * 3), "nested as [3, 2]", id="transposed"),
        pytest.param(as_json("FP32", [2], [1]), "has 1 elements", id="fewer"),
        pytest.param(as_json("BYTES", [2], ["YQ=="]), "has 1 elements", id="fewer-strings"),
        pytest.param(as_json("BYTES", [1025], []), "more than 1024", id="too-many-strings"),
        pytest.param(as_json("BYTES", [1], ["-"]), "base64", id="no-base64"),
        pytest.param(as_json("FP32", ["1"], [1]), "inputs.0.shape.0", id="a-side-in-quotes"),  # type: ignore[list-item]
        pytest.param(as_json("FP32", [1 << 31], []), "inputs.0.shape.0", id="a-long-side"),
        pytest.param(as_json("FP32", [1] * 17, [1]), "inputs.0.shape", id="many-dimensions"),
        pytest.param(
            as_json("FP32", [0, *[(1 << 31) - 1] * 3], []), "has 0 elements", id="no-array"
        ),
        pytest.param(as_json("x" * 129, [1], [1]), "inputs.0.datatype", id="a-long-datatype"),
        pytest.param(as_json("FP32", [1], [1], parameters=7), "inputs.0.parameters", id="no-table"),
    ],
)
def test_json_that_is_not_what_it_says_is_refused(described: dict[str, Any], words: str) -> None:
    with pytest.raises(MalformedRequest) as refused:
        read_request(body(described)[0], None)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("described", "behind", "words"),
    [
        pytest.param(raw("BYTES", [1], 6), b"\x09\0\0\0ab", "cut short", id="short"),
        pytest.param(raw("BYTES", [1], 2), b"ab", "cut short", id="no-length"),
        pytest.param(raw("BYTES", [2], 4000), bytes(4000), "more elements than", id="zeros"),
        pytest.param(raw("BYTES", [2], 4), bytes(4), "has 1 elements", id="fewer"),
        pytest.param(raw("BYTES", [1 << 30], 8), bytes(8), "more than 1024", id="too-many"),
        pytest.param(raw("FP32", [1], 3), b"abc", "3 bytes are no FP32", id="odd"),
        pytest.param(raw("FP32", [2], 4), bytes(4), "has 1 elements", id="one-number"),
        pytest.param(raw("FP64", [1], 8), bytes(8), "expected FP32 or BYTES", id="other-type"),
        pytest.param(raw("BYTES", [0], 0), b"abc", "3 bytes at the end", id="left"),
        pytest.param(raw("BYTES", [1], 99), b"abcd", "of the 4 bytes", id="too-few-behind"),
        pytest.param(raw("BYTES", [1], -4), b"abcd", "of the 4 bytes", id="negative"),
        pytest.param(raw("BYTES", [1], "4"), b"abcd", "of the 4 bytes", id="in-quotes"),
        pytest.param(raw("BYTES", [1], True), b"a", "of the 1 bytes", id="a-flag"),
        pytest.param(raw("BYTES", [1], None), b"abcd", "of the 4 bytes", id="null"),
    ],
)
def test_raw_data_that_does_not_fit_is_refused(
    described: dict[str, Any], behind: bytes, words: str
) -> None:
    with pytest.raises(MalformedRequest) as refused:
        read_request(*body(described, behind))
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "length",
    ["", "-1", "+1", "1_0", "x", "1e3", "99999", "٣", "9" * 5000, "0" * 4301],
    ids=lambda length: f"{length[:8]!a} of {len(length)}",
)
def test_a_length_that_is_none_is_refused(length: str) -> None:
    for read in (read_request, takes_long):
        with pytest.raises(MalformedRequest, match="is no length within the 2 bytes"):
            read(b"{}", length)


@pytest.mark.parametrize(
    ("place", "parameters"),
    [
        ("request", {"classification": 1}),
        ("input", {"shared_memory_region": "a"}),
        ("input", {"shared_memory_byte_size": 4}),
        ("output", {"classification": 3}),
        ("output", {"shared_memory_offset": 0}),
    ],
    ids=str,
)
def test_what_another_extension_asks_for_is_not_passed_over(
    place: str, parameters: dict[str, Any]
) -> None:
    of = {place: parameters}
    request = {
        "inputs": [as_json("FP32", [1], [1], parameters=of.get("input", {}))],
        "outputs": [{"name": "y", "parameters": of.get("output", {})}],
        "parameters": of.get("request", {}),
    }
    with pytest.raises(MalformedRequest, match="of an extension that is not offered"):
        read_request(json.dumps(request).encode(), None)


@pytest.mark.parametrize("value", [1, 0, "true", None, []], ids=repr)
def test_a_flag_that_is_neither_true_nor_false_is_refused(value: object) -> None:
    described = as_json("FP32", [1], [1])
    whole = body(described, parameters={"binary_data_output": value})[0]
    one = body(described, outputs=[{"name": "y", "parameters": {"binary_data": value}}])[0]
    for request in (whole, one):
        with pytest.raises(MalformedRequest, match="neither true nor false"):
            read_request(request, None)


LONG = "x" * 2_000_000


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param({LONG: 1}, id="a-key"),
        pytest.param({"id": LONG, "inputs": []}, id="an-id"),
        pytest.param({"inputs": [{"name": LONG}]}, id="a-name"),
        pytest.param({"inputs": [as_json(LONG, [1], [1])]}, id="a-datatype"),
        pytest.param({"inputs": [as_json("FP32", [1], LONG)]}, id="data"),
        pytest.param({"inputs": [as_json("BYTES", [1], [LONG + "-"])]}, id="a-string"),
        pytest.param({"inputs": [as_json("FP32", [1], [1], parameters={LONG: 1})]}, id="parameter"),
        pytest.param({"inputs": [raw("FP32", [1], LONG)]}, id="a-size"),
        pytest.param({"inputs": [{}] * 400_000}, id="objects"),
        pytest.param({"inputs": [[]] * 400_000}, id="lists"),
    ],
)
def test_a_long_request_gets_a_short_answer(request_: object) -> None:
    with pytest.raises(MalformedRequest) as refused:
        read_request(json.dumps(request_).encode(), None)
    assert len(str(refused.value)) < 500


def test_thousands_of_objects_are_refused_before_they_are_made() -> None:
    with pytest.raises(MalformedRequest, match="thousands of objects"):
        read_request(b'{"inputs": [' + b"{}," * 1001 + b"{}]}", None)


def test_long_json_is_known_before_it_is_read_and_raw_data_is_not_taken_for_it() -> None:
    assert takes_long(b"[" * 2_000_000, None)
    assert not takes_long(*body(raw("FP32", [500_000], 2_000_000), bytes(2_000_000)))


RAW = b"{" + bytes(range(256)) * 40 + b"{" * 2000
HEAD = b'{"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "parameters": {}}]}'


@pytest.mark.parametrize(
    ("body", "json_bytes", "message"),
    [
        pytest.param(
            HEAD + RAW,
            None,
            "the header Inference-Header-Content-Length has to say",
            id="no-header",
        ),
        pytest.param(HEAD + RAW, str(len(HEAD) + 900), "as Inference-Header", id="wrong-header"),
        pytest.param(b"--b\r\nContent-Disposition: form-data" + RAW, None, "is a form", id="form"),
        pytest.param(b"\x89PNG\r\n" + RAW, None, "does not begin like any", id="picture"),
    ],
)
def test_a_body_that_is_no_json_is_told_as_what_it_is(
    body: bytes, json_bytes: str | None, message: str
) -> None:
    with pytest.raises(MalformedRequest, match="Not the protocol's JSON: ") as caught:
        read_request(body, json_bytes)
    assert message in str(caught.value)
    assert "thousands of objects" not in str(caught.value)
