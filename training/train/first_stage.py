"""The first stage: the head alone, on features that are made once.

A head drawn at random would send its first, senseless gradients through weights that are good
already (Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features and Underperform
Out-of-Distribution", arXiv:2202.10054).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import keras
import numpy as np

from training.network.mobilenet import split_head

if TYPE_CHECKING:
    from training.recipes.config import FitConfig
    from training.train.batches import TrainingBatches

VIEWS: Final = 2
"""How often each training picture is augmented anew for its features."""
LEARNING_RATE: Final = 1e-3


def train_head(network: Any, batches: TrainingBatches, config: FitConfig, loss: Any) -> None:
    """Train the head of `network` for `config.head_epochs` on the features of `batches`.

    What lies below stays as it is. `batches` has gone on by `VIEWS` epochs afterwards.
    """
    below, head = split_head(network)
    features, targets = [], []
    for _ in range(VIEWS):
        for index in range(len(batches)):
            inputs, target = batches[index]
            features.append(below.predict_on_batch(inputs))
            targets.append(target)
        batches.on_epoch_end()
    head.compile(optimizer=keras.optimizers.Adam(LEARNING_RATE), loss=loss)
    head.fit(
        np.concatenate(features),
        np.concatenate(targets),
        batch_size=config.batch_size,
        epochs=config.head_epochs,
        verbose=0,
    )
