"""A network's weights, trained by a recipe; what was kept of them lies in a checkpoint."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import keras

from training.network.mobilenet import freeze, in_float32
from training.train.batches import PlainBatches, TrainingBatches
from training.train.callbacks import EpochBars, Keep, Validate
from training.train.first_stage import train_head
from training.train.offsets import add_offsets
from training.train.optimizer import build_optimizer
from training.train.sampling import class_weights
from training.train.strategy import spread

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from app.xray.contract import ModelContract
    from training.data.dataset import Split
    from training.recipes.config import FitConfig
    from training.report.pictures.plots import History


def train(
    network: Any,
    contract: ModelContract,
    config: FitConfig,
    splits: tuple[Split, Split],
    sources: Sequence[str],
    kept: Path,
    console: Console,
    strategy: Any = None,
) -> History:
    """Train `network` on the first of `splits`, watched on the second, into a checkpoint at `kept`.

    `sources` are those of the pictures of the first, empty where they are not known. The epochs
    are written to `history.csv` beside `kept`; what they came to is returned. With a `strategy`
    its devices share the work.
    """
    known, watched = splits
    batches = TrainingBatches(known, contract, config, sources)
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=config.label_smoothing)
    freeze(network, config.frozen_blocks, statistics=config.frozen_statistics)
    if config.head_epochs:
        train_head(network, batches, config, loss)
    served = in_float32(network)
    with strategy.scope() if strategy else nullcontext():
        network = spread(network, strategy) if strategy else network
        optimizer = build_optimizer(network, config, len(batches))
        network.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
    validation = PlainBatches(watched, contract)
    callbacks: list[Any] = []
    if config.average:
        callbacks.append(keras.callbacks.SwapEMAWeights(swap_on_epoch=True))
    if strategy:
        served.compile(loss=loss, metrics=["accuracy"])
        callbacks.append(Validate(served, validation))
    if config.schedule == "plateau":
        callbacks.append(
            keras.callbacks.ReduceLROnPlateau(
                monitor="val_loss",
                factor=config.plateau_factor,
                patience=config.plateau_patience,
                min_delta=config.plateau_min_delta,
                min_lr=config.min_learning_rate,
            )
        )
    callbacks.append(keras.callbacks.TerminateOnNaN())
    callbacks.append(Keep(kept, contract, served, config.keep))
    callbacks.append(keras.callbacks.CSVLogger(kept.with_name("history.csv")))
    with EpochBars(console, len(batches)) as bars:
        found: History = network.fit(
            batches,
            validation_data=None if strategy else validation,
            epochs=config.epochs,
            shuffle=False,  # the batches are shuffled already, the same way in every run
            class_weight=class_weights(known.labels) if config.source_balance is None else None,
            callbacks=[*callbacks, bars],
            verbose=0,
        ).history
    if config.offsets:
        add_offsets(kept, contract, watched)
    return found
