from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from app.xray.contract import ModelContract
from app.xray.preprocess import rescale
from training.data.dataset import Split
from training.recipes.config import AugmentConfig, FitConfig
from training.train.batches import PlainBatches, TrainingBatches

if TYPE_CHECKING:
    from typing import Any

CONTRACT = ModelContract.recipe_of_2022()
STILL = AugmentConfig(rotation_degrees=0, shift=0, zoom=0, brightness=0, contrast=0)


@pytest.fixture
def split() -> Split:
    """Ten pictures, each of one level of its own."""
    levels = np.arange(10, dtype=np.uint8) * 20
    return Split(
        files=tuple(f"{level}.png" for level in levels),
        labels=np.arange(10) % 3,
        pixels=np.broadcast_to(levels[:, None, None, None], (10, 224, 224, 3)).copy(),
    )


def config(**settings: Any) -> FitConfig:
    chosen = {"batch_size": 4, "augment": STILL, **settings}
    return FitConfig(data=Path("data"), out=Path("out"), **chosen)


def order_of(batches: TrainingBatches) -> list[int]:
    """The levels of an epoch's pictures, divided by 20, as they come."""
    epoch = np.concatenate([batches[i][0][:, 0, 0, 0] for i in range(len(batches))])
    return [round(value * 255 / 20) for value in epoch.tolist()]


def test_an_epoch_shows_each_picture_once_with_its_label(split: Split) -> None:
    batches = TrainingBatches(split, CONTRACT, config())
    assert [len(batches[i][0]) for i in range(len(batches))] == [4, 4, 2]
    order = order_of(batches)
    assert sorted(order) == list(range(10))
    labels = np.concatenate([batches[i][1] for i in range(len(batches))]).argmax(axis=1)
    assert labels.tolist() == [level % 3 for level in order]


def test_each_epoch_is_shuffled_anew_and_a_run_repeats(split: Split) -> None:
    def epochs(seed: int) -> list[list[int]]:
        batches = TrainingBatches(split, CONTRACT, config(seed=seed))
        found = []
        for _ in range(3):
            found.append(order_of(batches))
            batches.on_epoch_end()
        return found

    first = epochs(21)
    assert len({tuple(order) for order in first}) == 3
    assert epochs(21) == first
    assert epochs(22) != first


def test_augmentation_differs_by_epoch_and_repeats_by_seed(split: Split) -> None:
    batches = TrainingBatches(split, CONTRACT, config(augment=AugmentConfig(), batch_size=10))
    again = TrainingBatches(split, CONTRACT, config(augment=AugmentConfig(), batch_size=10))
    first = batches[0][0]
    assert np.array_equal(first, again[0][0])
    batches.on_epoch_end()
    assert not np.array_equal(first, batches[0][0])


def test_plain_batches_keep_the_order_and_are_what_is_served(split: Split) -> None:
    batches = PlainBatches(split, CONTRACT, batch_size=3)
    inputs = np.concatenate([batches[i][0] for i in range(len(batches))])
    labels = np.concatenate([batches[i][1] for i in range(len(batches))])
    assert np.array_equal(inputs, rescale(split.pixels, CONTRACT))
    assert labels.argmax(axis=1).tolist() == split.labels.tolist()
