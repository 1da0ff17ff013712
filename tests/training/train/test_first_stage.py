from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from app.xray.contract import ModelContract
from tests.networks import build_tiny
from training.data.dataset import Split
from training.network.mobilenet import is_below_head
from training.recipes.config import FitConfig
from training.train.batches import TrainingBatches
from training.train.first_stage import train_head


def test_the_head_learns_and_what_lies_below_stays() -> None:
    keras.utils.set_random_seed(0)
    network = build_tiny(keras, 2)
    labels = np.arange(8) % 2
    split = Split(
        files=tuple(f"{index}.png" for index in range(8)),
        labels=labels,
        pixels=np.broadcast_to(labels[:, None, None, None] * 200, (8, 224, 224, 3)).astype(
            np.uint8
        ),
    )
    contract = ModelContract.recipe_of_2022(("DARK", "LIGHT"))
    config = FitConfig(data=Path("data"), out=Path("out"), batch_size=4, head_epochs=5)
    before = [(weight, weight.numpy()) for weight in network.weights]
    train_head(
        network,
        TrainingBatches(split, contract, config),
        config,
        keras.losses.CategoricalCrossentropy(),
    )
    changed = {
        is_below_head(network, weight)
        for weight, old in before
        if not np.array_equal(old, weight.numpy())
    }
    assert changed == {False}
