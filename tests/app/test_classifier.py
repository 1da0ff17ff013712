from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest

from app.classifier import UNCALIBRATED, load_classifier
from app.engines.engine import Batching
from app.settings import read_settings
from app.xray.errors import CheckpointCorrupt, CheckpointMissing, CheckpointRefused, EngineError
from tests.app.fakes import FakeEngine, fake_classifier
from tests.networks import model_inputs, write_tiny_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from app.engines.engine import Output


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
        assert alone.probabilities == pytest.approx(prediction.probabilities, abs=1e-6)


@pytest.mark.parametrize(
    ("answer", "points", "uncertain"),
    [
        pytest.param((0.2, 0.2, 0.6), {}, False, id="past-the-default-of-one-half"),
        pytest.param((0.3, 0.3, 0.4), {}, True, id="below-the-default-of-one-half"),
        pytest.param((0.3, 0.3, 0.4), {"COVID": 0.25}, False, id="a-class-reaches-its-own-point"),
        pytest.param((0.2, 0.2, 0.6), {"PNEUMONIA": 0.7}, True, id="below-a-point-of-its-own"),
    ],
)
def test_uncertain_where_no_class_reaches_its_operating_point(
    answer: tuple[float, ...], points: dict[str, float], uncertain: bool
) -> None:
    classifier = fake_classifier(FakeEngine(answer), operating_points=points)
    assert classifier.predict(model_inputs(1))[0].uncertain is uncertain


def test_the_temperature_of_the_contract_softens_the_answer() -> None:
    (plain,) = fake_classifier().predict(model_inputs(1))
    (softened,) = fake_classifier(temperature=3.0).predict(model_inputs(1))
    assert softened.label == plain.label
    assert softened.confidence < plain.confidence


def test_an_uncalibrated_model_says_so_in_every_answer() -> None:
    assert fake_classifier().predict(model_inputs(1))[0].warnings == (UNCALIBRATED,)
    assert fake_classifier(temperature=1.3).predict(model_inputs(1))[0].warnings == ()


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
    with pytest.raises(CheckpointCorrupt, match="it must end in a softmax"):
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


def test_an_answer_that_is_not_finite_is_an_error_not_an_answer() -> None:
    with pytest.raises(EngineError, match="not finite"):
        fake_classifier(FakeEngine((float("nan"), 0.5, 0.5))).predict(model_inputs(1))


def test_a_checkpoint_is_loaded_as_the_settings_say(tiny_checkpoint: Path) -> None:
    classifier = load_classifier(read_settings(model_path=tiny_checkpoint, device="cpu"))
    assert (classifier.engine.name, classifier.engine.device) == ("litert", "cpu")
    expected = keras.models.load_model(tiny_checkpoint, compile=False).predict(
        model_inputs(), verbose=0
    )
    found = [list(p.probabilities.values()) for p in classifier.predict(model_inputs())]
    assert np.abs(np.array(found) - expected).max() < 1e-6


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


@pytest.mark.parametrize("engine", ["tensorflow", "litert"])
def test_a_network_without_a_softmax_is_not_served(engine: str, tmp_path: Path) -> None:
    inputs = keras.Input((224, 224, 3))
    outputs = keras.layers.Dense(3)(keras.layers.GlobalMaxPooling2D()(inputs))
    path = write_tiny_checkpoint(tmp_path / "model.h5", network=keras.Model(inputs, outputs))
    with pytest.raises(CheckpointCorrupt, match="softmax"):
        load_classifier(read_settings(model_path=path, engine=engine))
