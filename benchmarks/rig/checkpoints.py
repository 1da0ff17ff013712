"""Checkpoints to put in the place of another: good ones, and each kind that must be refused."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import h5py
import numpy as np

from app.xray.checkpoint import file_sha256

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Kind = Literal["good", "corrupt", "wrong-shaped"]
UNITS = 5
"""Of a last layer that does not fit three classes."""
SIDE = 192
"""Of an input that does not fit the contract's."""


class Candidate(NamedTuple):
    """A file on offer."""

    name: str
    kind: Kind
    path: Path
    sha256: str


def draw_up(model: Path, folder: Path) -> list[Candidate]:
    """Variants of `model` in `folder`: two good ones whose bytes differ, and all the bad ones."""
    changes: dict[tuple[Kind, str], Callable[[Path], None]] = {
        ("good", "one"): lambda path: _mark(path, "one"),
        ("good", "another"): lambda path: _mark(path, "another"),
        ("corrupt", "truncated"): lambda path: os.truncate(path, path.stat().st_size // 2),
        ("corrupt", "random bytes"): _fill_with_noise,
        ("corrupt", "a Lambda layer"): _bring_code,
        ("wrong-shaped", f"{UNITS} outputs"): _widen,
        ("wrong-shaped", f"input of {SIDE} x {SIDE}"): _resize,
    }
    candidates = []
    for (kind, name), change in changes.items():
        path = folder / f"{len(candidates)}.h5"
        shutil.copyfile(model, path)
        change(path)
        candidates.append(Candidate(name, kind, path, file_sha256(path)))
    return candidates


def put(candidate: Candidate, path: Path) -> None:
    """Let it stand at `path` from one moment to the next, as `mv` does."""
    draft = path.with_suffix(".part")
    shutil.copyfile(candidate.path, draft)
    draft.replace(path)


def _mark(path: Path, mark: str) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["benchmark_mark"] = mark


def _fill_with_noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(path.stat().st_size))


def _change_layer(path: Path, is_it: Callable[[Any], bool], change: Callable[[Any], None]) -> None:
    """Change the configuration of the last layer that `is_it`."""
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        change([layer for layer in config["config"]["layers"] if is_it(layer)][-1])
        del file.attrs["model_config"]  # it may be too large to be changed in its place
        file.attrs["model_config"] = json.dumps(config)


def _bring_code(path: Path) -> None:
    def to_lambda(layer: Any) -> None:
        layer["class_name"] = "Lambda"

    _change_layer(path, lambda layer: layer["class_name"] == "Dropout", to_lambda)


def _resize(path: Path) -> None:
    """The weights of a convolution fit any size; the contract does not."""

    def resize(layer: Any) -> None:
        layer["config"]["batch_shape"] = [None, SIDE, SIDE, 3]

    _change_layer(path, lambda layer: layer["class_name"] == "InputLayer", resize)


def _widen(path: Path) -> None:
    """The last layer, in configuration and weights."""
    names: list[str] = []

    def widen(layer: Any) -> None:
        layer["config"]["units"] = UNITS
        names.append(layer["config"]["name"])

    _change_layer(path, lambda layer: layer["class_name"] == "Dense", widen)
    with h5py.File(path, "r+") as file:
        group = file[f"model_weights/{names[0]}/{names[0]}"]
        for name in ("kernel", "bias"):
            values = np.resize(group[name][()], (*group[name].shape[:-1], UNITS))
            del group[name]
            group[name] = values
