"""A network's weights, trained by a recipe; what was kept of them lies in a checkpoint."""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import keras

from app.xray.replacing import replacing
from training.network.mobilenet import freeze, in_float32
from training.train.batches import PlainBatches, TrainingBatches
from training.train.callbacks import EpochBars, Keep, Validate
from training.train.event_files import EventFiles
from training.train.first_stage import VIEWS, train_head
from training.train.optimizer import build_optimizer
from training.train.sampling import class_weights
from training.train.state import UNFINISHED, State
from training.train.strategy import spread

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from app.xray.contract import ModelContract
    from training.data.dataset import Split
    from training.recipes.config import FitConfig
    from training.report.pictures.plots import History
    from training.train.state import Remembered


def train(
    network: Any,
    contract: ModelContract,
    config: FitConfig,
    splits: tuple[Split, Split],
    sources: Sequence[str],
    folder: Path,
    console: Console,
    strategy: Any = None,
) -> History:
    """Train `network` on the first of `splits`, watched on the second, into `trained_file(folder)`.

    `sources` are those of the pictures of the first, empty where they are not known. The epochs
    are written to `history.csv` in `folder`; what they came to is returned. With a `strategy`
    its devices share the work.

    Where `folder` has the state of a run that was stopped, it goes on from there: on the CPU, to
    the same weights bit for bit as if it had not been stopped.

    Raises:
        TrainingError: as `State`.
    """
    known, watched = splits
    state = State(folder)
    kept = trained_file(folder).with_name("epoch.h5")
    batches = TrainingBatches(known, contract, config, sources)
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=config.label_smoothing)
    freeze(network, config.frozen_blocks, statistics=config.frozen_statistics)
    if config.head_epochs and not state.epochs:
        train_head(network, batches, config, loss)
    batches.start(state.epochs + (VIEWS if config.head_epochs else 0))
    served = in_float32(network)
    with strategy.scope() if strategy else nullcontext():
        network = spread(network, strategy) if strategy else network
        optimizer = build_optimizer(network, config, len(batches))
        network.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
        network.optimizer.build(network.trainable_variables)
    validation = PlainBatches(watched, contract)
    callbacks: list[Any] = []
    remembered: dict[str, Remembered] = {}
    if config.average:
        averages = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
        callbacks.append(averages)
        remembered["averages"] = (averages, ("_ema_weights_in_model",))
    if strategy:
        served.compile(loss=loss, metrics=["accuracy"])
        callbacks.append(Validate(served, validation))
    if config.schedule == "plateau":
        plateau = keras.callbacks.ReduceLROnPlateau(
            monitor="val_loss",
            factor=config.plateau_factor,
            patience=config.plateau_patience,
            min_delta=config.plateau_min_delta,
            min_lr=config.min_learning_rate,
        )
        callbacks.append(plateau)
        remembered["plateau"] = (plateau, ("best", "wait", "cooldown_counter"))
    callbacks.append(keras.callbacks.TerminateOnNaN())
    keep = Keep(kept, contract, served, config.keep)
    state.remember({**remembered, "keep": (keep, ("best",))})
    callbacks += [keep, state]
    if config.tensorboard:
        callbacks.append(EventFiles(folder / "tensorboard"))
    if state.epochs:
        console.print(f"going on after epoch {state.epochs} of {config.epochs}", highlight=False)
    if state.epochs < config.epochs:
        with EpochBars(console, len(batches)) as bars:
            network.fit(
                batches,
                validation_data=None if strategy else validation,
                epochs=config.epochs,
                initial_epoch=state.epochs,
                shuffle=False,  # the batches are shuffled already, the same way in every run
                class_weight=class_weights(known.labels) if config.source_balance is None else None,
                callbacks=[*callbacks, bars],
                verbose=0,
            )
    state.write_history()
    with replacing(trained_file(folder)) as partial:
        shutil.copyfile(kept, partial)
    return state.history


def trained_file(folder: Path) -> Path:
    """The checkpoint that `train` leaves in a run's folder: no result before it is calibrated."""
    return folder / UNFINISHED / "trained.h5"
