"""With the client that Triton's users have, against a live server; and with none but HTTP."""

from __future__ import annotations

import json
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from app.routes.oip.messages import HEADER
from app.routes.oip.routes import MOST_PICTURES, OUTPUTS
from app.xray.contract import ModelContract
from app.xray.preprocess import preprocess
from benchmarks.rig.corpus.drawing import draw_radiograph, encode
from tests.app.fakes import (
    BrightnessEngine,
    FakeEngine,
    SlowLoad,
    client_of,
    fake_app,
    fake_classifier,
    full_queue,
    gate_at,
    never_read,
)
from tests.bounds import TINY_PROBABILITIES
from tests.live import live

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

PICTURES = [encode(draw_radiograph(seed)) for seed in range(3)]
INFER = "/v2/models/fake/infer"


@pytest.fixture(scope="module")
def server(tiny_checkpoint: Path) -> Iterator[httpx.Client]:
    with live(tiny_checkpoint, drain_s="0") as (client, _):
        yield client


@pytest.fixture
def client(server: httpx.Client) -> Iterator[triton.InferenceServerClient]:
    address = f"{server.base_url.host}:{server.base_url.port}"
    with triton.InferenceServerClient(address, concurrency=4) as client:
        yield client


def pictures_input(*pictures: bytes, binary: bool = True) -> triton.InferInput:
    tensor = triton.InferInput("image", [len(pictures)], "BYTES")
    given = pictures if binary else [b64encode(picture) for picture in pictures]
    tensor.set_data_from_numpy(np.array(given, object), binary_data=binary)
    return tensor


def model_inputs(*pictures: bytes, binary: bool = True) -> triton.InferInput:
    contract = ModelContract.recipe_of_2022()
    arrays = np.stack([preprocess(picture, contract) for picture in pictures])
    tensor = triton.InferInput("input", list(arrays.shape), "FP32")
    tensor.set_data_from_numpy(arrays, binary_data=binary)
    return tensor


def test_server_and_model_are_described(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tiny")
    assert client.is_model_ready("tiny", "1")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    described = client.get_model_metadata("tiny")
    assert (described["name"], described["versions"]) == ("tiny", ["1"])
    assert described["inputs"] == [
        {"name": "image", "datatype": "BYTES", "shape": [-1]},
        {"name": "input", "datatype": "FP32", "shape": [-1, 224, 224, 3]},
    ]
    assert described["outputs"][0] == {
        "name": "probabilities",
        "datatype": "FP32",
        "shape": [-1, 3],
    }


@pytest.mark.parametrize("binary_out", [True, False], ids=["raw-out", "json-out"])
@pytest.mark.parametrize("binary_in", [True, False], ids=["raw-in", "json-in"])
@pytest.mark.parametrize("make", [pictures_input, model_inputs], ids=["image", "input"])
def test_the_probabilities_are_those_of_predict(
    make: Any,
    binary_in: bool,
    binary_out: bool,
    client: triton.InferenceServerClient,
    server: httpx.Client,
) -> None:
    expected = [server.post("/predict", content=picture).json() for picture in PICTURES]
    outputs = [triton.InferRequestedOutput(name, binary_data=binary_out) for name in OUTPUTS]
    found = client.infer("tiny", [make(*PICTURES, binary=binary_in)], outputs=outputs)
    probabilities = found.as_numpy("probabilities")
    rows = [[*answer["probabilities"].values()] for answer in expected]
    assert np.abs(probabilities - rows).max() < TINY_PROBABILITIES
    labels = [
        label.decode() if isinstance(label, bytes) else label for label in found.as_numpy("label")
    ]
    assert labels == [answer["label"] for answer in expected]
    assert found.as_numpy("uncertain").tolist() == [answer["uncertain"] for answer in expected]
    sets = [json.loads(words) for words in found.as_numpy("prediction_set")]
    assert sets == [answer["prediction_set"] for answer in expected]
    warnings = [json.loads(words) for words in found.as_numpy("warnings")]
    assert warnings == [answer["warnings"] for answer in expected]


def test_without_named_outputs_all_come_and_the_id_comes_back(
    client: triton.InferenceServerClient,
) -> None:
    found = client.infer("tiny", [pictures_input(PICTURES[0])], request_id="my-id").get_response()
    assert found["id"] == "my-id"
    assert (found["model_name"], found["model_version"]) == ("tiny", "1")
    assert [output["name"] for output in found["outputs"]] == [
        "probabilities",
        "label",
        "prediction_set",
        "uncertain",
        "warnings",
    ]


def test_many_requests_at_once_get_each_its_own_answer(
    client: triton.InferenceServerClient, server: httpx.Client
) -> None:
    expected = [
        [*server.post("/predict", content=picture).json()["probabilities"].values()]
        for picture in PICTURES
    ]
    order = [index % 3 for index in range(24)]

    def ask(index: int) -> np.ndarray:
        address = f"{server.base_url.host}:{server.base_url.port}"
        with triton.InferenceServerClient(address) as own:
            answer = own.infer("tiny", [pictures_input(PICTURES[index])])
            return np.asarray(answer.as_numpy("probabilities")[0])

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(ask, order))
    for index, row in zip(order, found, strict=True):
        assert row == pytest.approx(expected[index], abs=TINY_PROBABILITIES)


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
def test_a_compressed_request_is_refused_in_words(
    compression: str, client: triton.InferenceServerClient
) -> None:
    with pytest.raises(InferenceServerException, match="Content-Encoding") as refused:
        client.infer(
            "tiny",
            [pictures_input(PICTURES[0])],
            request_compression_algorithm=compression,
        )
    assert refused.value.status() == "415"


def test_what_is_wrong_is_said_in_the_protocols_own_form(
    client: triton.InferenceServerClient,
) -> None:
    def refusal(**change: Any) -> InferenceServerException:
        tensor = triton.InferInput(
            change.get("input", "input"), change["shape"], change.get("datatype", "FP32")
        )
        kind = {"FP32": np.float32, "INT32": np.int32}[tensor.datatype()]
        tensor.set_data_from_numpy(np.zeros(change["shape"], kind))
        with pytest.raises(InferenceServerException) as raised:
            client.infer(change.get("model", "tiny"), [tensor])
        return raised.value

    shape = refusal(shape=[1, 224, 224])
    assert (shape.status(), "expected [n, 224, 224, 3]" in shape.message()) == ("400", True)
    kind = refusal(shape=[1, 224, 224, 3], datatype="INT32")
    assert (kind.status(), "expected FP32 or BYTES" in kind.message()) == ("400", True)
    name = refusal(shape=[1], input="pixels")
    assert (name.status(), "'pixels' of FP32 is none" in name.message()) == ("400", True)
    model = refusal(shape=[1, 224, 224, 3], model="other")
    assert (model.status(), "there is 'tiny'" in model.message()) == ("404", True)
    assert not client.is_model_ready("other")
    assert not client.is_model_ready("tiny", "2")


def test_a_bad_picture_has_the_request_refused_with_its_status(
    client: triton.InferenceServerClient,
) -> None:
    for data, status in ((b"hello", "415"), (PICTURES[0][:100], "422"), (b"", "415")):
        with pytest.raises(InferenceServerException) as raised:
            client.infer("tiny", [pictures_input(PICTURES[1], data)])
        assert raised.value.status() == status


def raw(name: str, datatype: str, shape: list[int], size: object) -> dict[str, Any]:
    parameters = {"binary_data_size": size}
    return {"name": name, "datatype": datatype, "shape": shape, "parameters": parameters}


def as_json(name: str, datatype: str, shape: list[int], data: object) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


PICTURE = b64encode(PICTURES[0]).decode()
MANY = MOST_PICTURES + 1


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("request_", "words"),
    [
        pytest.param([], "body: Input should be", id="a-list"),
        pytest.param({}, "inputs: Field required", id="nothing"),
        pytest.param({"inputs": []}, "at least 1 item", id="no-input"),
        pytest.param({"inputs": [{"name": "image"}]}, "inputs.0.datatype", id="no-datatype"),
        pytest.param(
            {"inputs": [as_json("image", "BYTES", [-1], [PICTURE])]}, "inputs.0.shape.0", id="minus"
        ),
        pytest.param(
            {"inputs": [as_json("image", "BYTES", [2], [PICTURE])]}, "has 1 elements", id="fewer"
        ),
        pytest.param(
            {"inputs": [as_json("image", "BYTES", [0], [])]}, "0 pictures", id="no-picture"
        ),
        pytest.param(
            {"inputs": [as_json("image", "BYTES", [MANY], [PICTURE] * MANY)]},
            f"expected 1 to {MOST_PICTURES}",
            id="too-many",
        ),
        pytest.param(
            {"inputs": [as_json("image", "BYTES", [1], ["not base64"])]}, "base64", id="no-base64"
        ),
        pytest.param({"inputs": [as_json("image", "BYTES", [1], [7])]}, "base64", id="a-number"),
        pytest.param(
            {"inputs": [as_json("image", "BYTES", [1, 1], [PICTURE])]}, "expected [n]", id="square"
        ),
        pytest.param(
            {"inputs": [as_json("input", "FP32", [1], ["x"])]}, "expected 1 numbers", id="letters"
        ),
        pytest.param(
            {"inputs": [as_json("input", "FP32", [2], [[1], [1, 2]])]}, "numbers", id="ragged"
        ),
        pytest.param(
            {"inputs": [as_json("input", "FP32", [1, 1, 1, 3], [0, 0, 0])]},
            "expected [n, 224, 224, 3]",
            id="small",
        ),
        pytest.param(
            {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1]}]},
            "neither data nor",
            id="no-data",
        ),
        pytest.param(
            {"inputs": [as_json("image", "BYTES", [1], [PICTURE])] * 2}, "one input", id="two"
        ),
        pytest.param(
            {
                "inputs": [as_json("image", "BYTES", [1], [PICTURE])],
                "outputs": [{"name": "heatmap"}],
            },
            "No output is named 'heatmap'",
            id="no-such-output",
        ),
    ],
)
async def test_a_request_that_is_none_is_told_what_was_expected(
    request_: object, words: str
) -> None:
    async with client_of(fake_app()) as client:
        answer = await client.post(INFER, json=request_)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/json")
    assert [*answer.json()] == ["error"]
    assert words in answer.json()["error"]


@pytest.mark.anyio
@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e39"])
async def test_numbers_that_are_not_finite_are_refused(value: str) -> None:
    numbers = ",".join(["0"] * (224 * 224 * 3 - 1) + [value])
    described = json.dumps({"inputs": [as_json("input", "FP32", [1, 224, 224, 3], "DATA")]})
    body = described.replace('"DATA"', f"[{numbers}]")
    async with client_of(fake_app()) as client:
        answer = await client.post(INFER, content=body)
    assert answer.status_code == 400


@pytest.mark.anyio
async def test_model_inputs_go_to_the_model_as_they_are() -> None:
    engine = FakeEngine()
    given = np.random.default_rng(0).random((2, 224, 224, 3), np.float32)
    head = json.dumps({"inputs": [raw("input", "FP32", [2, 224, 224, 3], given.nbytes)]}).encode()
    async with client_of(fake_app(lambda _: fake_classifier(engine))) as client:
        engine.batches.clear()
        answer = await client.post(
            INFER,
            content=head + given.tobytes(),
            headers={HEADER: str(len(head))},
        )
    assert answer.status_code == 200
    assert np.array_equal(np.concatenate(engine.batches), given)


@pytest.mark.anyio
async def test_the_gate_refuses_here_too() -> None:
    def load(_: object) -> object:
        return fake_classifier(BrightnessEngine(), ood=gate_at(0.5, within=0.001))

    async with client_of(fake_app(load)) as client:
        answer = await client.post(
            INFER, json={"inputs": [as_json("image", "BYTES", [1], [PICTURE])]}
        )
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("Not a chest X-ray: ")


@pytest.mark.anyio
async def test_while_loading_it_is_live_and_not_ready() -> None:
    load = SlowLoad()
    async with client_of(fake_app(load), until=None) as client:
        live = await client.get("/v2/health/live")
        ready = await client.get("/v2/health/ready")
        model = await client.get("/v2/models/fake/ready")
        asked = await client.post(INFER, json={})
        load.finish()
    assert (live.status_code, live.json()) == (200, {"live": True})
    assert (ready.status_code, ready.json()) == (503, {"ready": False})
    assert (model.status_code, asked.status_code) == (503, 503)
    assert [*asked.json()] == ["error"]
    assert asked.headers["Retry-After"] == "5"


@pytest.mark.anyio
async def test_keys_are_asked_for_but_for_the_probes() -> None:
    async with client_of(fake_app(api_keys="key")) as client:
        probe = await client.get("/v2/health/ready")
        refused = await client.get("/v2")
        allowed = await client.get("/v2", headers={"Authorization": "Bearer key"})
    assert (probe.status_code, refused.status_code, allowed.status_code) == (200, 401, 200)
    assert "error" in refused.json()


@pytest.mark.anyio
async def test_without_a_body_it_says_so_and_nothing_of_forms() -> None:
    async with client_of(fake_app()) as client:
        empty = await client.post(INFER)
        form = await client.post(INFER, files={"file": ("a.png", PICTURES[0])})
    assert (empty.status_code, form.status_code) == (400, 400)
    assert empty.json() == {"error": "The request is malformed: The body is empty."}
    assert "Not the protocol's JSON: " in form.json()["error"]


@pytest.mark.anyio
async def test_a_request_of_more_pictures_than_may_wait_is_answered_all_the_same() -> None:
    request = {"inputs": [as_json("image", "BYTES", [MOST_PICTURES], [PICTURE] * MOST_PICTURES)]}
    async with client_of(fake_app(max_queue=4, max_batch_size=2)) as client:
        answer = await client.post(INFER, json=request)
    assert answer.status_code == 200
    assert answer.json()["outputs"][1]["shape"] == [MOST_PICTURES]


@pytest.mark.anyio
@pytest.mark.parametrize("version", ["", "/versions/1"])
async def test_a_full_queue_is_told_before_the_body_is_read(version: str) -> None:
    path = f"/v2/models/fake{version}/infer"
    async with full_queue(PICTURES[0]) as client:
        answer = await client.post(path, content=never_read())
        figures = (await client.get("/metrics")).text
    assert (answer.status_code, [*answer.json()]) == (503, ["error"])
    route = path.replace("fake", "{name}").replace("/1/", "/{version}/")
    assert f'code="503",method="POST",route="{route}"' in figures


@pytest.mark.anyio
async def test_long_json_gives_what_short_does() -> None:
    engine = FakeEngine()
    given = np.random.default_rng(0).random((1, 224, 224, 3), np.float32)
    described = as_json("input", "FP32", [1, 224, 224, 3], given.tolist())
    async with client_of(fake_app(lambda _: fake_classifier(engine))) as client:
        engine.batches.clear()
        answer = await client.post(INFER, json={"inputs": [described]})
    assert answer.status_code == 200
    assert np.array_equal(np.concatenate(engine.batches), given)


@pytest.mark.anyio
async def test_long_json_that_is_none_is_refused_by_place() -> None:
    async with client_of(fake_app()) as client:
        answer = await client.post(INFER, json={"inputs": [{"name": "x" * 2_000_000}]})
    assert answer.status_code == 400
    assert "Not the protocol's JSON: inputs.0.name: " in answer.json()["error"]


@pytest.mark.anyio
async def test_json_that_takes_too_long_to_read_is_no_picture_that_cannot_be_used() -> None:
    body = b'{"inputs": [' + b"[]," * 3_000_000 + b"[]]}"
    async with client_of(fake_app(decode_timeout_s=0.05)) as client:
        answer = await client.post(INFER, content=body)
    assert answer.status_code == 400
    assert (
        "The JSON cannot be read. Decoding it takes more than 0.05 s of computing."
        in answer.json()["error"]
    )
