"""Shuffled, augmented training batches, made beside the training step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np

from app.xray.preprocess import rescale
from training.data.augment import augment
from training.network.device import running_batch
from training.train.sampling import chances

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from app.xray.contract import ModelContract
    from training.data.dataset import Split
    from training.recipes.config import FitConfig


class TrainingBatches(keras.utils.PyDataset):  # type: ignore[misc]  # keras has no types
    """Batch i of an epoch: float32 (batch, height, width, 3) model inputs and class probabilities.

    `sources` are those of the pictures of `split`, empty where they are not known. Order and
    augmentation follow from (seed, epoch, position) alone, so a run repeats whatever the threads
    do.
    """

    def __init__(
        self,
        split: Split,
        contract: ModelContract,
        config: FitConfig,
        sources: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self._split = split
        self._contract = contract
        self._config = config
        self._one_hot = one_hot(split.labels, len(contract.classes))
        balance = config.source_balance
        self._chances = None if balance is None else chances(split.labels, sources, balance)
        self._epoch = -1
        self.on_epoch_end()

    def start(self, epoch: int) -> None:
        """Have the epoch of that number, counted from 0, come next."""
        self._epoch = epoch - 1
        self.on_epoch_end()

    def on_epoch_end(self) -> None:
        """Shuffle, or draw, for the next epoch."""
        self._epoch += 1
        rng = np.random.default_rng((self._config.seed, self._epoch))
        count = len(self._split)
        drawn = self._chances is not None
        self._order = rng.choice(count, count, p=self._chances) if drawn else rng.permutation(count)

    def __len__(self) -> int:
        """Batches an epoch; the last may be smaller."""
        return -(-len(self._split) // self._config.batch_size)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        chosen = self._order[index * self._config.batch_size :][: self._config.batch_size]
        rng = np.random.default_rng((self._config.seed, self._epoch, index))
        pixels = self._split.pixels

        def draw_other() -> NDArray[np.uint8]:
            other: NDArray[np.uint8] = pixels[rng.integers(len(pixels))]
            return other

        pictures = [augment(pixels[i], self._config.augment, rng, draw_other) for i in chosen]
        inputs, targets = rescale(np.stack(pictures), self._contract), self._one_hot[chosen]
        if self._config.mixup:
            return mix(inputs, targets, self._config.mixup, rng)
        return inputs, targets


class PlainBatches(keras.utils.PyDataset):  # type: ignore[misc]  # keras has no types
    """A split in its own order, as it is served: for validation and test."""

    def __init__(
        self, split: Split, contract: ModelContract, batch_size: int | None = None
    ) -> None:
        super().__init__()
        self._split = split
        self._contract = contract
        self._batch_size = batch_size or running_batch()
        self._one_hot = one_hot(split.labels, len(contract.classes))

    def __len__(self) -> int:
        """Batches in the split; the last may be smaller."""
        return -(-len(self._split) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        chosen = slice(index * self._batch_size, (index + 1) * self._batch_size)
        return rescale(self._split.pixels[chosen], self._contract), self._one_hot[chosen]


def mix(
    inputs: NDArray[np.float32],
    targets: NDArray[np.float32],
    alpha: float,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Each picture and its target blended with another's, both by one share for the batch.

    mixup (Zhang et al. 2018, arXiv:1710.09412), the share drawn from Beta(`alpha`, `alpha`).
    """
    share = np.float32(rng.beta(alpha, alpha))
    others = rng.permutation(len(inputs))
    rest = np.float32(1) - share
    return share * inputs + rest * inputs[others], share * targets + rest * targets[others]


def one_hot(labels: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """float32 (n, classes) with a one at each label."""
    return np.eye(classes, dtype=np.float32)[labels]
