from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.special import softmax

from app.xray.checkpoint import read_checkpoint
from app.xray.network import build_network
from tests.bounds import TINY_PROBABILITIES
from training.data.dataset import Split
from training.network.runner import Runner
from training.train.offsets import add_offsets, fit_offsets

if TYPE_CHECKING:
    from pathlib import Path


def leaning(count: int, lean: tuple[float, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from softmax(logits), and softmax(logits + lean): -lean mends them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, 3)) * 2
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    return labels, softmax(logits + np.array(lean), axis=1).astype(np.float32)


def centred(offsets: np.ndarray) -> list[float]:
    return (offsets - offsets.mean()).tolist()


def test_with_many_pictures_they_are_those_that_mend_them() -> None:
    found = centred(fit_offsets(*leaning(20_000, (1.0, -0.4, -0.6))))
    assert found == pytest.approx([-1.0, 0.4, 0.6], abs=0.1)


def test_with_few_pictures_they_are_smaller_than_the_likeliest() -> None:
    sizes = [np.ptp(fit_offsets(*leaning(100, (1.0, -0.5, -0.5), seed))) for seed in range(20)]
    assert 0.3 < np.mean(sizes) < 1.2


def test_where_nothing_leans_nothing_is_added() -> None:
    found = [fit_offsets(*leaning(300, (0, 0, 0), seed)) for seed in range(10)]
    assert np.median([np.ptp(each) for each in found]) == pytest.approx(0, abs=0.05)


def test_a_network_that_is_always_right_is_left_as_it_is() -> None:
    labels = np.arange(30) % 3
    raw = np.full((30, 3), 0.01, np.float32)
    raw[np.arange(30), labels] = 0.98
    assert np.ptp(fit_offsets(labels, raw)) == pytest.approx(0, abs=1e-3)


def test_a_class_without_a_picture_keeps_what_it_has() -> None:
    labels, raw = leaning(2_000, (1.0, 0, 0))
    known = labels != 2
    assert fit_offsets(labels[known], raw[known])[2] == 0


def test_pictures_that_weigh_nothing_tell_nothing() -> None:
    labels, raw = leaning(2_000, (1.0, -0.4, -0.6))
    others, their_raw = leaning(6_000, (-1.0, 0.4, 0.6), seed=1)
    weights = np.repeat([1 / 2_000, 0.0], [2_000, 6_000])
    both = fit_offsets(np.append(labels, others), np.concatenate([raw, their_raw]), weights)
    assert both == pytest.approx(fit_offsets(labels, raw), abs=0.02)


@pytest.mark.parametrize("certain", [0.0, 1.0], ids=["never", "always"])
def test_a_probability_of_0_leaves_them_within_bounds(certain: float) -> None:
    labels, raw = leaning(300, (0, 0, 0))
    raw[0] = [1 - certain, certain, 0]
    found = fit_offsets(labels, raw)
    assert np.isfinite(found).all()
    assert np.abs(found).max() <= 3


@pytest.fixture(name="watched")
def watched_split(tiny_checkpoint: Path) -> Split:
    """Ninety pictures of noise, most of them of the first class."""
    rng = np.random.default_rng(0)
    shape = read_checkpoint(tiny_checkpoint).contract.input_shape
    labels = np.where(np.arange(90) % 9 < 8, 0, np.arange(90) % 3)
    pixels = rng.integers(0, 255, (90, *shape), np.uint8)
    return Split(tuple(f"{n}.png" for n in range(90)), labels, pixels)


def test_they_are_laid_into_the_checkpoint_whose_logits_move_by_them(
    tiny_checkpoint: Path, watched: Split, tmp_path: Path
) -> None:
    path = tmp_path / "kept.h5"
    path.write_bytes(tiny_checkpoint.read_bytes())
    checkpoint = read_checkpoint(path)
    before = Runner(build_network(checkpoint), checkpoint.contract).run(watched.pixels).raw
    into = tmp_path / "with_offsets.h5"
    add_offsets(path, checkpoint.contract, watched, (), into)
    assert read_checkpoint(path).sha256 == checkpoint.sha256
    changed = read_checkpoint(into)
    assert changed.contract == checkpoint.contract
    after = Runner(build_network(changed), changed.contract).run(watched.pixels).raw
    expected = np.log(before.astype(np.float64)) + fit_offsets(watched.labels, before)
    # What was added is rounded too.
    assert np.abs(after - softmax(expected, axis=1)).max() < 2 * TINY_PROBABILITIES
    assert after[:, 0].mean() > before[:, 0].mean() + 0.05


def test_with_sources_the_class_of_most_pictures_is_not_made_likelier(
    tiny_checkpoint: Path, watched: Split, tmp_path: Path
) -> None:
    contract = read_checkpoint(tiny_checkpoint).contract
    into = tmp_path / "by_source.h5"
    means = []
    for sources in ((), ("one hospital",) * 90):
        add_offsets(tiny_checkpoint, contract, watched, sources, into)
        network = build_network(read_checkpoint(into))
        means.append(Runner(network, contract).run(watched.pixels).raw[:, 0].mean())
    assert means[1] < means[0] - 0.05
