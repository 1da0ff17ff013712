"""Where a run is, on disk after each epoch, so that one that was stopped goes on from there."""

from __future__ import annotations

import csv
import json
import random
from typing import TYPE_CHECKING, Any, Final
from zipfile import BadZipFile

import keras
import numpy as np

from app.xray.errors import TrainingError
from app.xray.replacing import replacing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from training.report.pictures.plots import History

UNFINISHED: Final = "unfinished"
"""The folder in a run's folder that has all of it that is no result yet."""

Remembered = tuple[Any, tuple[str, ...]]
"""A callback, and the names of its attributes that change from epoch to epoch."""


class State(keras.callbacks.Callback):  # type: ignore[misc]  # keras has no types
    """Write where the run is whenever an epoch has ended, and begin where it was.

    That is: the network's variables (the states of its random numbers among them), the
    optimizer's (moving averages among them), the attributes of the callbacks `remembered`, the
    random states of Python and NumPy, and the figures of all epochs, which are written to
    `history.csv` in `folder` too. It comes after all callbacks that it remembers.

    Raises:
        TrainingError: what lies there was written by something else, or nothing can be written.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._path = folder / UNFINISHED / "state.npz"
        self._remembered: Mapping[str, Remembered] = {}
        self._found: dict[str, Any] | None = None
        self._arrays: dict[str, np.ndarray[Any, Any]] = {}
        self.history: History = {}
        """The figures of all epochs by their names, those before the stop too."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrainingError(f"{folder}: cannot be written to: {error.strerror}") from error
        if self._path.exists():
            self._read()

    @property
    def epochs(self) -> int:
        """How many have ended."""
        return len(next(iter(self.history.values()), []))

    def remember(self, remembered: Mapping[str, Remembered]) -> None:
        """Name the callbacks that go on from what they knew."""
        self._remembered = remembered

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._found is None:
            return
        for name, variables in self._variables().items():
            _assign(variables, [self._arrays[key] for key in self._keys(name)], self._path)
        for name, (callback, attributes) in self._remembered.items():
            for attribute in attributes:
                setattr(callback, attribute, self._found["callbacks"][name][attribute])
        version, internal, gauss = self._found["python"]
        random.setstate((version, tuple(internal), gauss))
        kind, position, has_gauss, cached = self._found["numpy"]
        np.random.set_state((kind, self._arrays["numpy"], position, has_gauss, cached))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        for name, figure in (logs or {}).items():
            self.history.setdefault(name, []).append(float(figure))
        kind, keys, *rest = np.random.get_state()
        arrays = {
            f"{name}-{place}": keras.ops.convert_to_numpy(variable)
            for name, variables in self._variables().items()
            for place, variable in enumerate(variables)
        }
        document = {
            "history": self.history,
            "callbacks": {
                name: {attribute: _plain(getattr(callback, attribute)) for attribute in attributes}
                for name, (callback, attributes) in self._remembered.items()
            },
            "python": random.getstate(),
            "numpy": [kind, *rest],
        }
        with replacing(self._path) as partial:
            np.savez(partial, document=json.dumps(document), numpy=np.asarray(keys), **arrays)
        self.write_history()

    def write_history(self) -> None:
        """Write `history.csv`: a row for each epoch, counted from 0."""
        names = sorted(self.history)
        figures = zip(*(self.history[name] for name in names), strict=True)
        with (
            replacing(self._folder / "history.csv") as partial,
            partial.open("w", newline="", encoding="utf-8") as file,
        ):
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["epoch", *names])
            rows.writerows([epoch, *row] for epoch, row in enumerate(figures))

    def _variables(self) -> dict[str, Sequence[Any]]:
        return {"network": self.model.variables, "optimizer": self.model.optimizer.variables}

    def _keys(self, name: str) -> list[str]:
        keys = [key for key in self._arrays if key.startswith(f"{name}-")]
        return sorted(keys, key=lambda key: int(key.rpartition("-")[2]))

    def _read(self) -> None:
        try:
            with self._path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                self._arrays = {name: file[name] for name in file.files if name != "document"}
                self._found = json.loads(file["document"].item())
            self.history = {
                name: [float(figure) for figure in figures]
                for name, figures in self._found["history"].items()
            }
        except (
            OSError,
            BadZipFile,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
        ) as error:
            raise TrainingError(f"{self._path}: expected what fit writes: {error}") from error


def _assign(variables: Sequence[Any], values: Sequence[Any], path: Path) -> None:
    if [tuple(each.shape) for each in variables] != [each.shape for each in values]:
        raise TrainingError(f"{path}: is of another network or optimizer than this run's")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
