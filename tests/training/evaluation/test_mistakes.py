from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest
from PIL import Image

from app.xray.contract import ModelContract
from app.xray.heat import blend
from tests.networks import build_branched, build_tiny, enliven, model_inputs
from training.data.dataset import Split
from training.evaluation.evaluate import Evaluation
from training.evaluation.mistakes import explain, surest_mistakes

CONTRACT = ModelContract.recipe_of_2022()
COUNT = 6


@pytest.fixture
def split() -> Split:
    pixels = (model_inputs(COUNT) * 255).astype(np.uint8)
    files = tuple(f"test/{index}.png" for index in range(COUNT))
    return Split(files, np.array([0, 1, 2, 0, 1, 2]), pixels)


@pytest.fixture
def evaluation(split: Split) -> Evaluation:
    """Of six pictures the second, the fourth and the last are wrong, ever surer."""
    answers, sureness = [0, 2, 2, 1, 1, 0], [0.99, 0.5, 0.9, 0.6, 0.9, 0.8]
    raw = np.full((COUNT, 3), np.nan)
    for row, answer, sure in zip(raw, answers, sureness, strict=True):
        row[:] = (1 - sure) / 2
        row[answer] = sure
    sources = ("here",) * 3 + ("there",) * 3
    return Evaluation(CONTRACT, split.files, split.labels, raw, sources)


@pytest.fixture(scope="module")
def network() -> object:
    keras.utils.set_random_seed(7)
    network = build_tiny(keras)
    enliven(network, model_inputs(COUNT))
    return network


def test_mistakes_are_those_with_the_highest_confidence_in_order(
    evaluation: Evaluation, split: Split, network: object
) -> None:
    found = surest_mistakes(evaluation, split, network, count=2)
    assert [mistake.file for mistake in found] == ["test/5.png", "test/3.png"]
    first = found[0]
    assert (first.truth, first.answer, first.source) == ("PNEUMONIA", "COVID", "there")
    assert (first.probability, first.of_truth) == pytest.approx((0.8, 0.1))
    assert np.array_equal(first.picture, split.pixels[5])


def test_all_mistakes_are_shown_where_there_are_fewer(
    evaluation: Evaluation, split: Split, network: object
) -> None:
    nameless = replace(evaluation, sources=())
    found = surest_mistakes(nameless, split, network)
    assert [mistake.file for mistake in found] == ["test/5.png", "test/3.png", "test/1.png"]
    assert {mistake.source for mistake in found} == {""}


def test_there_are_none_when_all_is_right(
    evaluation: Evaluation, split: Split, network: object
) -> None:
    right = replace(evaluation, raw=np.eye(3)[split.labels])
    assert surest_mistakes(right, split, network) == ()


def test_the_evaluation_of_another_split_is_refused(
    evaluation: Evaluation, split: Split, network: object
) -> None:
    other = replace(split, files=split.files[::-1])
    with pytest.raises(ValueError, match="this very split"):
        surest_mistakes(evaluation, other, network)


def test_each_mistake_comes_with_its_heat_map_of_the_answer(
    evaluation: Evaluation, split: Split, network: object
) -> None:
    found = surest_mistakes(evaluation, split, network)
    of_answers = explain(network, CONTRACT, split.pixels[[5, 3, 1]], np.array([0, 1, 2]))
    for mistake, heat in zip(found, of_answers, strict=True):
        assert heat is not None
        assert heat.max() in (0, 1)
        assert mistake.heat is not None
        assert np.array_equal(mistake.heat, blend(Image.fromarray(mistake.picture), heat))
    assert any(heat is not None and heat.any() for heat in of_answers)


def test_a_network_that_cannot_be_explained_has_mistakes_without_heat(
    evaluation: Evaluation, split: Split
) -> None:
    found = surest_mistakes(evaluation, split, build_branched(keras))
    assert len(found) == 3
    assert all(mistake.heat is None for mistake in found)


def test_other_backends_than_tensorflow_have_heat_too(
    split: Split, network: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    found = explain(network, CONTRACT, split.pixels, split.labels)
    assert [heat is not None for heat in found] == [True] * COUNT
