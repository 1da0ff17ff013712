"""Shuffled, augmented training batches, made beside the training step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np

from app.xray.preprocess import rescale
from training.augment import augment

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from app.xray.contract import ModelContract
    from training.config import FitConfig
    from training.dataset import Split


class TrainingBatches(keras.utils.PyDataset):  # type: ignore[misc]  # keras has no types
    """Batch i of an epoch: float32 (batch, height, width, 3) model inputs and one-hot labels.

    Order and augmentation follow from (seed, epoch, position) alone, so a run repeats whatever
    the threads do.
    """

    def __init__(self, split: Split, contract: ModelContract, config: FitConfig) -> None:
        super().__init__()
        self._split = split
        self._contract = contract
        self._config = config
        self._one_hot = one_hot(split.labels, len(contract.classes))
        self._epoch = -1
        self.on_epoch_end()

    def on_epoch_end(self) -> None:
        """Shuffle for the next epoch."""
        self._epoch += 1
        rng = np.random.default_rng((self._config.seed, self._epoch))
        self._order = rng.permutation(len(self._split))

    def __len__(self) -> int:
        """Batches an epoch; the last may be smaller."""
        return -(-len(self._split) // self._config.batch_size)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        chosen = self._order[index * self._config.batch_size :][: self._config.batch_size]
        rng = np.random.default_rng((self._config.seed, self._epoch, index))
        pictures = [augment(self._split.pixels[i], self._config.augment, rng) for i in chosen]
        return rescale(np.stack(pictures), self._contract), self._one_hot[chosen]


class PlainBatches(keras.utils.PyDataset):  # type: ignore[misc]  # keras has no types
    """A split in its own order, as it is served: for validation and test."""

    def __init__(self, split: Split, contract: ModelContract, batch_size: int = 32) -> None:
        super().__init__()
        self._split = split
        self._contract = contract
        self._batch_size = batch_size
        self._one_hot = one_hot(split.labels, len(contract.classes))

    def __len__(self) -> int:
        """Batches in the split; the last may be smaller."""
        return -(-len(self._split) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        chosen = slice(index * self._batch_size, (index + 1) * self._batch_size)
        return rescale(self._split.pixels[chosen], self._contract), self._one_hot[chosen]


def one_hot(labels: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """float32 (n, classes) with a one at each label."""
    return np.eye(classes, dtype=np.float32)[labels]
