from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from app.score import scorer as module
from app.score.scorer import Scorer
from app.settings import read_settings
from app.xray.errors import EngineError
from benchmarks.rig.corpus.dicoms import write_dicom
from benchmarks.rig.corpus.drawing import draw_radiograph, encode
from tests.app.fakes import (
    BrightnessEngine,
    FakeEngine,
    client_of,
    fake_app,
    fake_classifier,
    gate_at,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from app.inference.classifier import Classifier
    from app.score.scorer import Row

pytestmark = pytest.mark.anyio


async def rows_of(addresses: list[str], classifier: Classifier, **settings: Any) -> list[Row]:
    async with Scorer(classifier, read_settings(**settings)) as scorer:
        return [row async for row in scorer.score_all(addresses)]


async def test_a_row_holds_what_predict_answers(tmp_path: Path, png: bytes) -> None:
    (tmp_path / "a.png").write_bytes(png)
    async with client_of(fake_app()) as client:
        answered = (await client.post("/predict", content=png)).json()
    (row,) = await rows_of([str(tmp_path / "a.png")], fake_classifier())
    assert row["path"] == str(tmp_path / "a.png")
    for name in ("label", "confidence", "prediction_set", "uncertain", "warnings"):
        assert row[name] == answered[name]
    found = {name: row[f"probability_{name}"] for name in answered["probabilities"]}
    assert found == answered["probabilities"]
    assert "error" not in row


async def test_dicom_files_are_pictures_too(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(write_dicom(np.asarray(draw_radiograph())))
    (row,) = await rows_of([str(tmp_path / "a")], fake_classifier())
    assert row["label"] == "PNEUMONIA"


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (None, "unreadable: FileNotFoundError"),
        (b"", "malformed-request"),
        (b"hello", "unsupported-image-type"),
        (encode(draw_radiograph())[:900], "unusable-image"),
        (bytes(2001), "too-many-bytes"),
    ],
    ids=["missing", "empty", "text", "truncated", "large"],
)
async def test_a_bad_file_is_a_row_with_its_error(
    tmp_path: Path, data: bytes | None, error: str
) -> None:
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    good.write_bytes(encode(draw_radiograph().resize((16, 16))))
    if data is not None:
        bad.write_bytes(data)
    rows = await rows_of([str(bad), str(good)], fake_classifier(), max_upload_mb=0.002)
    assert [row["path"] for row in rows] == [str(bad), str(good)]
    assert rows[0]["error"].startswith(error)
    assert "label" not in rows[0]
    assert "error" not in rows[1]


async def test_the_row_of_a_picture_that_the_gate_refuses_has_its_score(
    tmp_path: Path, png: bytes
) -> None:
    (tmp_path / "a.png").write_bytes(png)
    classifier = fake_classifier(BrightnessEngine(), ood=gate_at(0.99, within=0.001))
    (refused,) = await rows_of([str(tmp_path / "a.png")], classifier)
    assert refused["error"].startswith("not-a-chest-x-ray")
    assert refused["gate_score"] > 0.001
    (warned,) = await rows_of([str(tmp_path / "a.png")], classifier, ood="warn")
    assert warned["gate_score"] == refused["gate_score"]
    assert warned["label"] == "PNEUMONIA"
    assert warned["warnings"]


async def test_rows_come_in_order_however_long_each_takes(
    tmp_path: Path, png: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(address: str, max_bytes: int) -> bytes:
        time.sleep(0.05 if int(address) % 7 == 0 else 0)
        return png

    monkeypatch.setattr(module, "read_picture", read)
    addresses = [str(n) for n in range(60)]
    rows = await rows_of(addresses, fake_classifier())
    assert [row["path"] for row in rows] == addresses


async def test_no_more_pictures_are_under_way_than_the_model_can_take(
    png: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "read_picture", lambda *_: png)
    taken = 0

    def addresses() -> Iterator[str]:
        nonlocal taken
        for taken in range(1, 1001):
            yield str(taken)

    most = given = 0
    async with Scorer(fake_classifier(), read_settings()) as scorer:
        async for _ in scorer.score_all(addresses()):
            given += 1
            most = max(most, taken - given)
    assert given == 1000
    assert most <= 64


async def test_what_is_no_pictures_fault_ends_the_run(
    png: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    class LostEngine(FakeEngine):
        def predict(self, batch: np.ndarray, *, with_features: bool = False) -> Any:
            raise EngineError("the GPU is gone")

    monkeypatch.setattr(module, "read_picture", lambda *_: png)
    with pytest.raises(EngineError, match="the GPU is gone"):
        await rows_of(["a", "b"], fake_classifier(LostEngine()))
