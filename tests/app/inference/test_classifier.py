from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest

from app.inference.classifier import (
    IMPRECISE,
    NEGATIVE,
    STRANGE,
    UNCALIBRATED,
    UNGATED,
    Classifier,
)
from app.inference.engines.engine import Batching
from app.inference.loading import load_classifier
from app.settings import read_settings
from app.xray.errors import (
    CheckpointCorrupt,
    CheckpointMissing,
    CheckpointRefused,
    EngineError,
    NotExplainable,
)
from app.xray.probes import TOLERANCE
from tests.app.fakes import BrightnessEngine, FakeEngine, fake_classifier, gate_at
from tests.bounds import TINY_PROBABILITIES
from tests.networks import model_inputs, tiny_gate, write_tiny_checkpoint
from tests.stalls import crash, dawdle

if TYPE_CHECKING:
    from pathlib import Path

    from app.inference.engines.engine import Output


def test_the_likeliest_class_is_the_label() -> None:
    (prediction,) = fake_classifier().predict(model_inputs(1))
    assert prediction.label == "PNEUMONIA"
    assert prediction.confidence == prediction.probabilities["PNEUMONIA"]
    assert list(prediction.probabilities) == ["COVID", "NORMAL", "PNEUMONIA"]
    assert sum(prediction.probabilities.values()) == pytest.approx(1, abs=1e-6)


def test_predictions_come_in_the_order_of_the_batch(tiny_checkpoint: Path) -> None:
    classifier = load_classifier(read_settings(model_path=tiny_checkpoint))
    batch = model_inputs(3)
    together = classifier.predict(batch)
    for picture, prediction in zip(batch, together, strict=True):
        (alone,) = classifier.predict(picture[None])
        assert alone.probabilities == pytest.approx(
            prediction.probabilities, abs=TINY_PROBABILITIES
        )


@pytest.mark.parametrize(
    ("answer", "points", "expected"),
    [
        pytest.param((0.2, 0.2, 0.6), {}, ["PNEUMONIA"], id="past-the-default-of-one-half"),
        pytest.param((0.3, 0.3, 0.4), {}, [], id="below-the-default-of-one-half"),
        pytest.param((0.3, 0.3, 0.4), {"COVID": 0.25}, ["COVID"], id="another-than-the-label"),
        pytest.param((0.2, 0.2, 0.6), {"PNEUMONIA": 0.7}, [], id="below-a-point-of-its-own"),
        pytest.param(
            (0.3, 0.1, 0.6), {"COVID": 0.3}, ["COVID", "PNEUMONIA"], id="another-beside-the-label"
        ),
    ],
)
def test_an_answer_is_uncertain_unless_its_set_is_exactly_its_label(
    answer: tuple[float, ...], points: dict[str, float], expected: list[str]
) -> None:
    classifier = fake_classifier(FakeEngine(answer), operating_points=points)
    (found,) = classifier.predict(model_inputs(1))
    assert list(found.prediction_set) == expected
    assert found.uncertain is (expected != ["PNEUMONIA"])


def test_the_temperature_of_the_contract_softens_the_answer() -> None:
    (plain,) = fake_classifier().predict(model_inputs(1))
    (softened,) = fake_classifier(temperature=3.0).predict(model_inputs(1))
    assert softened.label == plain.label
    assert softened.confidence < plain.confidence


@pytest.mark.parametrize(
    ("contract", "policy", "warnings"),
    [
        pytest.param({}, "refuse", (UNCALIBRATED, UNGATED), id="neither"),
        pytest.param({}, "off", (UNCALIBRATED,), id="no-gate-is-asked-for"),
        pytest.param({"temperature": 1.3}, "warn", (UNGATED,), id="calibrated"),
        pytest.param(
            {"temperature": 1.3, "ood": gate_at(0.5, within=1)}, "refuse", (), id="with-a-gate"
        ),
    ],
)
def test_a_model_says_in_every_answer_what_it_lacks(
    contract: dict[str, Any], policy: str, warnings: tuple[str, ...]
) -> None:
    classifier = fake_classifier(BrightnessEngine(), policy=policy, **contract)
    assert classifier.predict(model_inputs(1))[0].warnings == warnings


def gray(*levels: float) -> np.ndarray:
    """Model inputs (n, 224, 224, 3), each of one level, 0 to 1."""
    return np.tile(np.array(levels, np.float32)[:, None, None, None], (1, 224, 224, 3))


def test_the_gate_looks_at_each_picture_of_a_batch_in_one_pass() -> None:
    engine = BrightnessEngine()
    classifier = fake_classifier(engine, temperature=1.3, ood=gate_at(0.5, within=0.2))
    found = classifier.predict(gray(0.5, 0.6, 0.4))
    scores = [prediction.verdict.score for prediction in found if prediction.verdict]
    assert scores == pytest.approx([0, 0.1, 0.1], abs=1e-6)
    assert all(prediction.warnings == () for prediction in found)
    assert len(engine.batches) == 1


def test_what_is_no_chest_x_ray_either_way_is_called_strange() -> None:
    classifier = fake_classifier(BrightnessEngine(), temperature=1.3, ood=gate_at(0.5, within=0.2))
    ordinary, strange = classifier.predict(gray(0.5, 0.9))
    assert ordinary.verdict is not None
    assert not ordinary.verdict.is_strange
    assert strange.verdict == (pytest.approx(0.4, abs=1e-6), 0.2)
    assert strange.verdict is not None
    assert strange.verdict.is_strange
    assert strange.warnings == (STRANGE.format(score=0.4, threshold=0.2),)


def test_the_negative_of_a_chest_x_ray_is_turned_and_said_to_be() -> None:
    engine = BrightnessEngine()
    classifier = fake_classifier(engine, temperature=1.3, ood=gate_at(0.3, within=0.2))
    ordinary, turned, strange = classifier.predict(gray(0.3, 0.7, 1.0))
    assert (ordinary.is_negative, turned.is_negative, strange.is_negative) == (False, True, False)
    assert turned.warnings == (NEGATIVE,)
    assert turned.verdict is not None
    assert turned.verdict.score == pytest.approx(0, abs=1e-6)
    assert [len(batch) for batch in engine.batches] == [3, 2]
    np.testing.assert_allclose(engine.batches[1][:, 0, 0, 0], [0.3, 0.0], atol=1e-6)


def test_a_gate_of_another_network_fails_the_warm_up() -> None:
    gate = tiny_gate(threshold=1.0)
    with pytest.raises(CheckpointCorrupt, match="cannot be run"):
        fake_classifier(ood=gate).warm_up()


def test_without_a_policy_no_gate_is_asked() -> None:
    classifier = fake_classifier(
        BrightnessEngine(), policy="off", temperature=1.3, ood=gate_at(0.5, within=0.2)
    )
    (found,) = classifier.predict(gray(0.9))
    assert (found.verdict, found.warnings) == (None, ())


def test_a_network_without_a_map_is_served_but_not_explained() -> None:
    class Mapless(FakeEngine):
        def predict(self, batch: np.ndarray, *, with_features: bool = False) -> Output:
            return super().predict(batch)

    classifier = fake_classifier(Mapless(), ood=gate_at(0.5, within=0.2))
    (found,) = classifier.predict(gray(0.9))
    assert (found.label, found.verdict) == ("PNEUMONIA", None)
    with pytest.raises(NotExplainable, match="no feature map"):
        classifier.heat_maps(found)


@pytest.mark.parametrize(("name", "place"), [("COVID", (0, 0)), ("PNEUMONIA", (0, 2))])
def test_a_heat_map_is_of_the_class_that_is_asked_for(name: str, place: tuple[int, int]) -> None:
    classifier = fake_classifier()
    (found,) = classifier.predict(model_inputs(1))
    heat = classifier.heat_maps(found)[name]
    assert heat.shape == (2, 3)
    assert np.unravel_index(heat.argmax(), heat.shape) == place


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((0.1, 0.1, 0.1), id="no-softmax"),
        pytest.param((2.0, -1.0, 0.0), id="negative"),
        pytest.param((float("nan"), 0.5, 0.5), id="nan"),
        pytest.param((0.5, 0.5), id="too-few"),
    ],
)
def test_a_model_that_gives_no_distribution_fails_its_warm_up(answer: tuple[float, ...]) -> None:
    with pytest.raises(CheckpointCorrupt, match="says that it ends in softmax"):
        fake_classifier(FakeEngine(answer)).warm_up()


def test_it_is_warmed_up_in_every_size_that_its_engine_plans_for() -> None:
    engine = FakeEngine()
    engine.batching = Batching(max_size=4, sizes=(1, 2, 4))
    fake_classifier(engine).warm_up()
    assert [len(batch) for batch in engine.batches] == [1, 2, 4]


def test_a_model_that_cannot_be_run_fails_its_warm_up() -> None:
    class Broken(FakeEngine):
        def predict(self, batch: np.ndarray, *, with_features: bool = False) -> Output:
            raise ZeroDivisionError

    with pytest.raises(CheckpointCorrupt, match="cannot be run"):
        fake_classifier(Broken()).warm_up()


@pytest.mark.parametrize(
    ("precision", "warns"), [("bf16", True), ("bf16 from conv", False), ("f32", False)]
)
def test_a_precision_that_nobody_judged_is_warned_of(precision: str, warns: bool) -> None:
    engine = FakeEngine()
    engine.precision = precision
    (found,) = fake_classifier(engine).predict(model_inputs(1))
    assert (IMPRECISE in found.warnings) == warns


def test_an_answer_that_is_not_finite_is_an_error_not_an_answer() -> None:
    with pytest.raises(EngineError, match="not finite"):
        fake_classifier(FakeEngine((float("nan"), 0.5, 0.5))).predict(model_inputs(1))


def test_a_checkpoint_is_loaded_as_the_settings_say(tiny_checkpoint: Path) -> None:
    classifier = load_classifier(read_settings(model_path=tiny_checkpoint, device="cpu"))
    assert (classifier.engine.name, classifier.engine.device) == ("openvino", "cpu")
    expected = keras.models.load_model(tiny_checkpoint, compile=False).predict(
        model_inputs(), verbose=0
    )
    found = [list(p.probabilities.values()) for p in classifier.predict(model_inputs())]
    assert np.abs(np.array(found) - expected).max() < TOLERANCE


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"model_path": "nowhere.h5"}, CheckpointMissing),
        ({"model_sha256": "0" * 64}, CheckpointRefused),
        ({"device": "gpu"}, EngineError),
    ],
    ids=["missing", "another-digest", "no-gpu-here"],
)
def test_what_cannot_be_loaded_is_the_operators_error(
    settings: dict[str, Any], error: type[Exception], tiny_checkpoint: Path
) -> None:
    if error is EngineError:
        tf = pytest.importorskip("tensorflow")
        if tf.config.list_physical_devices("GPU"):
            pytest.skip("there is a GPU here")
    with pytest.raises(error):
        load_classifier(read_settings(**{"model_path": tiny_checkpoint, **settings}))


@pytest.mark.parametrize("engine", ["tensorflow", "openvino"])
def test_a_network_without_a_softmax_is_not_served(engine: str, tmp_path: Path) -> None:
    inputs = keras.Input((224, 224, 3))
    outputs = keras.layers.Dense(3)(keras.layers.GlobalMaxPooling2D()(inputs))
    path = write_tiny_checkpoint(tmp_path / "model.h5", network=keras.Model(inputs, outputs))
    with pytest.raises(CheckpointCorrupt, match="softmax"):
        load_classifier(read_settings(model_path=path, engine=engine))


@pytest.mark.parametrize(
    ("work", "message"),
    [
        pytest.param(dawdle, "takes more than 1 s", id="comes-to-no-end"),
        pytest.param(crash, "the process that read it crashed", id="crashes"),
    ],
)
def test_a_checkpoint_that_breaks_its_library_is_refused(
    work: Any, message: str, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.inference.reader.read_checkpoint", work)
    monkeypatch.setattr("app.inference.reader.READING_LIMIT_S", 1 if work is dawdle else 60)
    with pytest.raises(CheckpointCorrupt, match=rf"tiny\.h5: not a readable file: .*{message}"):
        load_classifier(read_settings(model_path=tiny_checkpoint))


def test_a_checkpoint_that_sends_its_library_round_and_round_is_refused(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A heap's object without number and length: libhdf5 waits there for the next one."""
    data = bytearray(tiny_checkpoint.read_bytes())
    place = data.index(b"GCOL") + 16
    data[place : place + 16] = bytes(16)
    path = tmp_path / "round.h5"
    path.write_bytes(data)
    monkeypatch.setattr("app.inference.reader.READING_LIMIT_S", 5)
    with pytest.raises(CheckpointCorrupt, match=r"round\.h5: .* takes more than 5 s"):
        load_classifier(read_settings(model_path=path))


@pytest.mark.parametrize(
    ("work", "message"),
    [
        pytest.param(dawdle, "graph of it is not made within 0.5 s", id="comes-to-no-end"),
        pytest.param(crash, "the process that made OpenVINO's graph of it died", id="crashes"),
    ],
)
def test_a_network_that_breaks_its_reader_is_the_machines_fault_and_told(
    work: Any, message: str, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.inference.reader._small_graph", work)
    monkeypatch.setattr("app.inference.reader._GRAPH_LIMIT_S", 0.5 if work is dawdle else 60)
    with pytest.raises(EngineError, match=rf"tiny\.h5: .*{message}"):
        load_classifier(read_settings(model_path=tiny_checkpoint))


def test_of_several_labels_each_is_judged_by_itself() -> None:
    engine = FakeEngine((0.8, 0.3, 0.9))
    classifier = fake_classifier(engine, output="sigmoid", operating_points={"COVID": 0.7})
    (found,) = classifier.predict(model_inputs(1))
    assert list(found.probabilities.values()) == pytest.approx([0.8, 0.3, 0.9], abs=1e-6)
    assert (found.label, found.prediction_set) == ("PNEUMONIA", ("COVID", "PNEUMONIA"))
    assert not found.uncertain
    unsure = fake_classifier(FakeEngine((0.1, 0.3, 0.2)), output="sigmoid")
    (nothing,) = unsure.predict(model_inputs(1))
    assert (nothing.label, nothing.prediction_set, nothing.uncertain) == ("NORMAL", (), True)
    classifier.answer_canary()


def test_a_probability_above_one_is_none_of_several_labels() -> None:
    classifier = fake_classifier(FakeEngine((0.8, 1.3, 0.9)), output="sigmoid")
    with pytest.raises(CheckpointCorrupt, match="its contract says that it ends in sigmoid"):
        classifier.answer_canary()


def test_what_was_said_of_a_checkpoint_stands_in_every_answer() -> None:
    known = fake_classifier()
    said = dataclasses.replace(known.checkpoint, assumption="Somebody said so.")
    classifier = Classifier(said, known.engine)
    (found,) = classifier.predict(model_inputs(1))
    assert found.warnings[0] == "Somebody said so."


def test_a_negative_that_cannot_be_told_is_not_looked_at() -> None:
    scales = (1 / 255, 1 / 200, 1 / 255)
    fields = {"scale": scales, "per_picture": "standardize"}
    classifier = fake_classifier(BrightnessEngine(), ood=gate_at(9.0, within=0.2), **fields)
    (found,) = classifier.predict(model_inputs(1))
    assert found.is_strange
    assert not found.is_negative
