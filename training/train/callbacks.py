"""What happens as epochs end: one is kept, and a person sees how far it is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal, Self

import keras
import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from training.network.export import export_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from app.xray.contract import ModelContract


class Keep(keras.callbacks.Callback):  # type: ignore[misc]  # keras has no types
    """Export the network whenever `val_accuracy` beats every epoch before, or after each epoch.

    What is exported is `served`, with the weights of the one that is trained, which may compute in
    another precision or on several devices.
    """

    def __init__(
        self,
        path: Path,
        contract: ModelContract,
        served: Any,
        which: Literal["best", "last"] = "best",
    ) -> None:
        super().__init__()
        self._path = path
        self._contract = contract
        self._served = served
        self._which = which
        self.best = -np.inf
        """The best `val_accuracy` so far."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        reached = (logs or {})["val_accuracy"]
        if reached > self.best or self._which == "last":
            self.best = reached
            if self._served is not self.model:
                self._served.set_weights(self.model.get_weights())
            export_checkpoint(self._served, self._contract, self._path)


class Validate(keras.callbacks.Callback):  # type: ignore[misc]  # keras has no types
    """Put `val_loss` and `val_accuracy` into an epoch's figures, from one device.

    In the place of Keras' own validation where several devices train: it weighs parts of unlike
    size alike. `served` is compiled; it is given the weights of the network that is trained.
    """

    def __init__(self, served: Any, batches: Any) -> None:
        super().__init__()
        self._served = served
        self._batches = batches

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._served.set_weights(self.model.get_weights())
        found = self._served.evaluate(self._batches, verbose=0, return_dict=True)
        if logs is not None:
            logs.update({f"val_{name}": figure for name, figure in found.items()})


class EpochBars(keras.callbacks.Callback):  # type: ignore[misc]  # keras has no types
    """A bar while an epoch runs, a line when it has ended.

    Where the output is no terminal, only the lines are printed.
    """

    def __init__(self, console: Console, steps: int) -> None:
        super().__init__()
        self._console = console
        self._steps = steps
        self._started = time.monotonic()
        self._first: int | None = None
        self._epoch_started = self._started
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:  # left by an exception or Ctrl-C: give the cursor back
            self._bar.stop()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._started = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch_started = time.monotonic()
        self._first = epoch if self._first is None else self._first
        self._bar = Progress(
            TextColumn(f"epoch {epoch + 1}/{self.params['epochs']}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("", total=self._steps, figures="")
        self._bar.start()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._bar is not None and logs:
            figures = f"loss {logs['loss']:.3f}, accuracy {logs['accuracy']:.3f}"
            self._bar.update(self._task, advance=1, figures=figures)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._bar is not None:
            self._bar.stop()
        logs = logs or {}
        now = time.monotonic()
        left = (
            (now - self._started)
            / (epoch + 1 - (self._first or 0))
            * (self.params["epochs"] - epoch - 1)
        )
        self._console.print(
            f"epoch {epoch + 1:>2}/{self.params['epochs']}  "
            f"loss {logs['loss']:.3f}  accuracy {logs['accuracy']:.3f}  "
            f"val_loss {logs['val_loss']:.3f}  val_accuracy {logs['val_accuracy']:.3f}  "
            f"{now - self._epoch_started:.0f} s, about {_spell(left)} left",
            highlight=False,
            soft_wrap=True,
        )


def _spell(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
