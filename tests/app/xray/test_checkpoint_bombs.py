"""Files of kilobytes that ask for gigabytes: refused by their sums, before anything is built."""

from __future__ import annotations

import json
import resource
import zipfile
from functools import partial
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from app.inference.reader import Reader
from app.runtime.children import Apart, be_expendable
from app.xray.checkpoint import read_checkpoint
from app.xray.errors import CheckpointRefused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MEMORY_BYTES = 1 << 30
LINE = 300


def layer(kind: str, name: str, settings: dict[str, Any], *sources: str) -> dict[str, Any]:
    return {
        "class_name": kind,
        "config": {"name": name, "trainable": True, **settings},
        "name": name,
        "inbound_nodes": [[[source, 0, 0, {}] for source in sources]] if sources else [],
    }


def picture() -> dict[str, Any]:
    return layer("InputLayer", "in", {"batch_input_shape": [None, 224, 224, 3]})


def functional(layers: list[dict[str, Any]]) -> dict[str, Any]:
    ends = {"input_layers": [["in", 0, 0]], "output_layers": [[layers[-1]["name"], 0, 0]]}
    return {"class_name": "Functional", "config": {"name": "m", "layers": layers, **ends}}


def many_maps_alive() -> dict[str, Any]:
    """Four hundred maps of 49 MB each, none of which may go before the last is there."""
    names = [f"up_{i}" for i in range(400)]
    maps = [layer("UpSampling2D", name, {"size": [9, 9]}, "in") for name in names]
    return functional([picture(), *maps, layer("Add", "sum", {}, *names)])


def many_maps_in_turn() -> dict[str, Any]:
    """A chain of two thousand maps of 206 MB, each below the limit of a layer."""
    chain = [layer("UpSampling2D", "l_0", {"size": [18, 18]}, "in")]
    chain += [
        layer("Activation", f"l_{i}", {"activation": "relu"}, f"l_{i - 1}") for i in range(1, 2000)
    ]
    return functional([picture(), *chain])


def many_weights() -> dict[str, Any]:
    """Four hundred layers of 16 MB of weights each, of which the file stores none."""
    chain = [layer("GlobalMaxPooling2D", "d_0", {}, "in")]
    chain += [layer("Dense", f"d_{i}", {"units": 2000}, f"d_{i - 1}") for i in range(1, 400)]
    return functional([picture(), *chain])


def one_layer_called_often() -> dict[str, Any]:
    """A dense layer of 64 MB, called over and over: a graph has its weights for each call."""
    first = layer("Dense", "first", {"units": 4000}, "pool")
    again = layer("Dense", "again", {"units": 4000}, "first")
    again["inbound_nodes"] += [[["again", i, 0, {}]] for i in range(60)]
    ends = {"input_layers": [["in", 0, 0]], "output_layers": [["again", 60, 0]]}
    layers = [picture(), layer("GlobalMaxPooling2D", "pool", {}, "in"), first, again]
    return {"class_name": "Functional", "config": {"name": "m", "layers": layers, **ends}}


def much_to_compute() -> dict[str, Any]:
    """Little memory, and a month of multiplications."""
    chain = [layer("Conv2D", "c_0", {"filters": 600, "kernel_size": [1, 1]}, "in")]
    chain += [
        layer("Conv2D", f"c_{i}", {"filters": 600, "kernel_size": [1, 1], "padding": "same"},
              f"c_{i - 1}")
        for i in range(1, 30)
    ]  # fmt: skip
    return functional([picture(), *chain])


def write(config: Any, path: Path) -> Path:
    with h5py.File(path, "w", libver="latest") as file:
        file.create_group("model_weights")
        file.attrs["keras_version"] = "2.15.0"
        file.attrs["model_config"] = json.dumps(config)
    return path


@pytest.mark.parametrize(
    ("bomb", "message"),
    [
        (many_maps_alive, "what is alive at once would take more than 536,870,912 bytes"),
        (many_maps_in_turn, "the outputs of all layers would take more than 8,589,934,592 bytes"),
        (many_weights, "weights would take more than 1,073,741,824 bytes"),
        (one_layer_called_often, "weights would take more than 1,073,741,824 bytes"),
        (much_to_compute, "one picture would take more than 300,000,000,000 multiplications"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_bomb_is_refused_by_a_process_that_has_a_gigabyte(
    bomb: Callable[[], Any], message: str, tmp_path: Path
) -> None:
    path = write(bomb(), tmp_path / "bomb.h5")
    assert path.stat().st_size < 500_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with (
        Apart(partial(be_expendable, MEMORY_BYTES)) as process,
        pytest.raises(CheckpointRefused, match=message) as caught,
    ):
        process.begin(read_checkpoint, path, within_s=60).result()
    assert len(str(caught.value)) < LINE + len(str(path))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_what_an_error_was_made_of_does_not_come_back_with_it(tmp_path: Path) -> None:
    """A name of megabytes, quoted by each error on the way, was half a gigabyte here."""
    config = functional([picture(), layer("Lambda", "x" * 1_000_000, {}, "in")])
    path = write(config, tmp_path / "bomb.h5")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with Reader() as reader, pytest.raises(CheckpointRefused, match="a Lambda: it can") as caught:
        reader.read(path, sha256=None, classes=["A", "B"])
    assert len(str(caught.value)) < LINE + len(str(path))
    assert caught.value.__cause__ is None
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_reading_that_takes_more_memory_than_the_file_accounts_for_is_refused(
    tmp_path: Path,
) -> None:
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.9.0"}')
        archive.writestr("config.json", json.dumps(functional([picture()])))
        archive.writestr("model.weights.h5", np.zeros(900 << 20, np.uint8).tobytes())
    assert path.stat().st_size < 2_000_000
    with (
        Reader() as reader,
        pytest.raises(CheckpointRefused, match=r"takes more than .* of memory"),
    ):
        reader.read(path, sha256=None, classes=["A", "B"])
