from __future__ import annotations

import numpy as np
import pytest

from training.evaluation.source_probe import ProbeResult, probe_sources

CLASSES = ("COVID", "NORMAL")


def draw(
    groups: dict[tuple[str, int], int], apart: float, seed: int = 0
) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Features, sources and labels: `groups` counts (source, label); sources lie `apart`."""
    rng = np.random.default_rng(seed)
    names = sorted({source for source, _ in groups})
    rows = [pair for pair, count in groups.items() for _ in range(count)]
    features = rng.normal(size=(len(rows), 12))
    features[:, 0] += [names.index(source) * apart for source, _ in rows]
    sources = [source for source, _ in rows]
    return features, sources, np.array([label for _, label in rows], dtype=np.int64)


def probe(
    train: dict[tuple[str, int], int],
    test: dict[tuple[str, int], int] | None = None,
    apart: float = 8.0,
) -> ProbeResult | None:
    features, sources, labels = draw(train, apart)
    others, their_sources, their_labels = draw(test or train, apart, seed=1)
    return probe_sources(features, sources, others, their_sources, labels, their_labels, CLASSES)


CROSSED = {("a", 0): 60, ("b", 0): 30, ("a", 1): 60, ("b", 1): 30}


def test_sources_that_lie_apart_are_told_apart() -> None:
    found = probe(CROSSED)
    assert found is not None
    for one in (found.overall, *found.within_class.values()):
        assert one.sources == ("a", "b")
        assert one.accuracy.value > 0.95
        assert one.balanced_accuracy.value > 0.95
        assert one.commonest == pytest.approx(2 / 3)
        assert one.accuracy.low <= one.accuracy.value <= one.accuracy.high
    assert found.overall.pictures == 180
    assert list(found.within_class) == list(CLASSES)
    assert (found.left_out, found.unknown) == ({}, 0)


def test_in_noise_no_source_is_found() -> None:
    found = probe(CROSSED, apart=0.0)
    assert found is not None
    assert found.overall.balanced_accuracy.low < 0.5 < found.overall.balanced_accuracy.high + 0.05
    assert found.overall.accuracy.value < found.overall.commonest + 0.1


def test_a_class_that_gives_its_source_away_is_found_out_by_the_figure_within_classes() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 100)
    sources = ["a"] * 80 + ["b"] * 20 + ["a"] * 20 + ["b"] * 80
    features = rng.normal(size=(200, 3))
    features[:, 0] += labels * 8  # they show the class, and nothing else
    found = probe_sources(features, sources, features, sources, labels, labels, CLASSES)
    assert found is not None
    assert found.overall.accuracy.value >= 0.78
    assert found.overall.commonest == 0.5
    for one in found.within_class.values():
        assert one.accuracy.value <= one.commonest + 0.05


def test_it_finds_the_same_every_time() -> None:
    assert probe(CROSSED, apart=1.0) == probe(CROSSED, apart=1.0)


@pytest.mark.parametrize(
    ("train", "test", "reason"),
    [
        pytest.param(
            {("a", 0): 9, ("b", 0): 9, ("a", 1): 9},
            None,
            "its train pictures are of one source",
            id="one source in train",
        ),
        pytest.param(
            {("a", 0): 9, ("b", 0): 9, ("a", 1): 9, ("b", 1): 1},
            None,
            "its train pictures are of one source",
            id="a second source with a single picture",
        ),
        pytest.param(
            {("a", 0): 9, ("b", 0): 9},
            {("a", 0): 9, ("b", 0): 9, ("a", 1): 9, ("b", 1): 9},
            "no source is known from train",
            id="no picture in train",
        ),
        pytest.param(
            CROSSED,
            {("a", 0): 9, ("b", 0): 9, ("a", 1): 9},
            "its test pictures are of fewer than two of the sources in train",
            id="one source in test",
        ),
        pytest.param(
            CROSSED,
            {("a", 0): 9, ("b", 0): 9, ("a", 1): 9, ("c", 1): 9},
            "its test pictures are of fewer than two of the sources in train",
            id="another source in test",
        ),
        pytest.param(
            CROSSED,
            {("a", 0): 9, ("b", 0): 9},
            "its test pictures are of fewer than two of the sources in train",
            id="no picture in test",
        ),
    ],
)
def test_a_class_without_two_sources_is_left_out_and_told_why(
    train: dict[tuple[str, int], int], test: dict[tuple[str, int], int] | None, reason: str
) -> None:
    found = probe(train, test)
    assert found is not None
    assert list(found.within_class) == ["COVID"]
    assert found.left_out == {"NORMAL": reason}


def test_test_pictures_of_a_source_that_train_lacks_are_counted_and_not_judged() -> None:
    found = probe(CROSSED, CROSSED | {("c", 0): 7, ("d", 1): 1})
    assert found is not None
    assert (found.unknown, found.overall.pictures) == (8, 180)
    assert found.overall.accuracy.value > 0.95


def test_a_source_with_one_train_picture_is_not_asked_about() -> None:
    found = probe(CROSSED | {("c", 0): 1}, CROSSED | {("c", 0): 5})
    assert found is not None
    assert found.overall.sources == ("a", "b")
    assert found.unknown == 5


def test_a_source_that_test_lacks_spoils_no_figure() -> None:
    found = probe(CROSSED | {("c", 0): 40}, CROSSED)
    assert found is not None
    assert found.overall.sources == ("a", "b", "c")
    assert np.isfinite(found.overall.balanced_accuracy.value)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        pytest.param({("a", 0): 9, ("a", 1): 9}, None, id="one source"),
        pytest.param({("a", 0): 9, ("b", 1): 1}, None, id="a second one with a single picture"),
        pytest.param({("a", 0): 1, ("b", 1): 1}, None, id="single pictures only"),
        pytest.param(CROSSED, {("a", 0): 9, ("a", 1): 9}, id="one source in test"),
        pytest.param(CROSSED, {("c", 0): 9, ("d", 1): 9}, id="other sources in test"),
    ],
)
def test_fewer_than_two_sources_give_no_result(
    train: dict[tuple[str, int], int], test: dict[tuple[str, int], int] | None
) -> None:
    assert probe(train, test) is None


def test_where_no_manifest_names_sources_there_is_no_result() -> None:
    features, _, labels = draw(CROSSED, 1.0)
    assert probe_sources(features, (), features, (), labels, labels, CLASSES) is None


@pytest.mark.parametrize("short", range(6))
def test_what_does_not_line_up_is_refused(short: int) -> None:
    features, sources, labels = draw(CROSSED, 1.0)
    given = [features, sources, features, sources, labels, labels]
    given[short] = given[short][:-1]
    with pytest.raises(ValueError, match="expected as many features as sources and labels"):
        probe_sources(*given, CLASSES)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_no_numbers_are_refused(value: float) -> None:
    features, sources, labels = draw(CROSSED, 1.0)
    broken = features.copy()
    broken[3, 2] = value
    for train, test in ((broken, features), (features, broken)):
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            probe_sources(train, sources, test, sources, labels, labels, CLASSES)


def test_a_feature_that_never_varies_is_no_obstacle() -> None:
    features, sources, labels = draw(CROSSED, 8.0)
    features = np.hstack([features, np.full((len(features), 1), 3.0)]).astype(np.float32)
    found = probe_sources(features, sources, features, sources, labels, labels, CLASSES)
    assert found is not None
    assert found.overall.accuracy.value > 0.95
