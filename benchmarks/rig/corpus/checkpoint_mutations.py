"""What is done to sound checkpoints, .h5 and .keras, until they are hostile."""

from __future__ import annotations

import base64
import io
import json
import marshal
import random
import warnings
import zipfile
from typing import TYPE_CHECKING, Any, Final

import h5py
import numpy as np

from app.xray.checkpoint import write_contract
from app.xray.contract import ModelContract
from benchmarks.rig.corpus import mutations
from benchmarks.rig.corpus.mutations import EXTREMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

CANARY: Final = "cxr_canary"
"""A module that nobody may import; see `write_canary`."""
_CONTRACT: Final = ModelContract(
    classes=("A", "B", "C"), input_size=(32, 32), resize="box", scale=1 / 255
)
_MOST, _LARGE = 3, 1 << 20
_VALUES: Final = (
    None, True, "", "softmax", "same", "../../etc/passwd", -1, 0, 1, 3, 1e308, 1 << 16, 1 << 40,
    [], {}, [None, None], [[0, 1 << 20]] * 2, {"class_name": "Dense", "config": {"units": 1 << 30}},
)  # fmt: skip
_CLASSES: Final = (
    "Lambda", "TFOpLambda", "TimeDistributed", "Canary", "Functional", "Sequential", "Conv2D",
    "UpSampling2D", "Concatenate", "Reshape", "MultiHeadAttention", "__lambda__", "function", [],
)  # fmt: skip
_BYTES: Final = (
    mutations.flip_bits,
    mutations.set_bytes,
    mutations.rewrite_length,
    mutations.truncate,
    mutations.delete_block,
    mutations.zero_block,
    mutations.repeat_block,
    mutations.insert_noise,
)


def sound_checkpoints(folder: Path) -> list[bytes]:
    """Small networks as both formats have them: nested, with operations, of one chain."""
    import keras

    layers, ops = keras.layers, keras.ops
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3, activation="relu")(inputs)
    x = layers.BatchNormalization()(x)
    x = x * layers.Conv2D(1, 3, padding="same", activation="sigmoid")(
        ops.mean(x, axis=-1, keepdims=True)
    )
    body = keras.Model(inputs, layers.GlobalMaxPooling2D()(x))
    outer = keras.Input((32, 32, 3))
    answer = layers.Dense(3, activation="softmax")(body(layers.RandomFlip()(outer)))
    chain = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Rescaling(1 / 255),
            layers.SeparableConv2D(4, 3, strides=2),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    found = []
    for network in (keras.Model(outer, answer), chain):
        for ending in ("h5", "keras"):
            path = folder / f"sound.{ending}"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                network.save(path)
            write_contract(path, _CONTRACT, path)
            found.append(path.read_bytes())
            path.unlink()
    return found


def write_canary(folder: Path, trace: Path) -> None:
    """A module in `folder` that leaves `trace` behind where it is imported."""
    (folder / f"{CANARY}.py").write_text(f"open({str(trace)!r}, 'w').close()\nCanary = object\n")


def mutated_checkpoints(
    sound: Sequence[bytes], count: int, seed: int, trace: Path
) -> Iterator[bytes]:
    """`count` files, each one of `sound` after one to three mutations; the same for a `seed`.

    Code among them would leave `trace` behind.
    """
    chance = random.Random(seed)  # noqa: S311
    code = _code(trace)
    for _ in range(count):
        data = chance.choice(sound)
        drawn = [_mutation(chance, code) for _ in range(chance.randint(1, _MOST))]
        # Bytes last: what opens the file here to change its structure needs one that is sound.
        for mutation in sorted(drawn, key=lambda mutation: mutation in _BYTES):
            try:
                data = mutation(chance, data)
            except Exception:  # whatever a library says of a file that is broken already
                data = chance.choice(_BYTES)(chance, data)
        yield data


def _mutation(chance: random.Random, code: Any) -> Callable[[random.Random, bytes], bytes]:
    kinds: list[Callable[[random.Random, bytes], bytes]] = [
        chance.choice(_BYTES),
        lambda chance, data: _edit_config(chance, data, code),
        lambda chance, data: _edit_config(chance, data, code),
        _edit_array,
        _swap_members,
    ]
    return chance.choice(kinds)


def _code(trace: Path) -> dict[str, Any]:
    """A function as Keras 3 serializes it, which writes `trace` when it is called."""
    function = eval(f"lambda x: (open({str(trace)!r}, 'w').close(), x)[1]")  # noqa: S307
    text = base64.b64encode(marshal.dumps(function.__code__)).decode()
    config = {"code": text, "defaults": None, "closure": None}
    return {"class_name": "__lambda__", "config": config}


def _is_zip(data: bytes) -> bool:
    return data.startswith(b"PK")


def _edit_config(chance: random.Random, data: bytes, code: Any) -> bytes:
    """Change the model's configuration, which stays JSON but for once in a while."""
    if _is_zip(data):
        members = _members(data)
        members["config.json"] = _edited(chance, members["config.json"].decode(), code).encode()
        return _zipped(members)
    file = io.BytesIO(data)
    with h5py.File(file, "r+") as opened:
        text = _edited(chance, opened.attrs["model_config"], code)
        del opened.attrs["model_config"]
        opened.attrs["model_config"] = text
        if chance.random() < 0.1:
            opened.attrs["keras_version"] = chance.choice(["2.15.0", "2.1.6", "9", ""])
    return file.getvalue()


def _edited(chance: random.Random, text: str, code: Any) -> str:
    config = json.loads(text)
    places = list(_places(config))
    for _ in range(chance.randint(1, 3)):
        holder, key = chance.choice(places)
        kind = chance.randrange(7)
        if kind == 0 and isinstance(holder, dict):
            holder.pop(key, None)
        elif kind == 1 and isinstance(holder, dict) and "class_name" in holder:
            holder["class_name"] = chance.choice(_CLASSES)
        elif kind == 2 and isinstance(holder, dict):
            holder.update(module=CANARY, class_name="Canary", registered_name="Canary")
        elif kind == 3:
            holder[key] = code
        elif kind == 4:
            other, name = chance.choice(places)
            holder[key] = json.loads(json.dumps(other.get(name) if isinstance(other, dict) else 1))
        elif kind == 5 and isinstance(holder, dict) and isinstance(holder.get(key), list):
            holder[key] = holder[key] * chance.choice([0, 2, 50])
        else:
            holder[key] = chance.choice([*_VALUES, *EXTREMES])
    end = chance.randrange(2, 2000) if chance.random() < 0.05 else None
    return json.dumps(config)[:end]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a JSON value: what holds it, and its key or index there."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(items):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)


def _edit_array(chance: random.Random, data: bytes) -> bytes:
    """Give one array of weights another shape, another type, or a place that is no array."""
    if _is_zip(data):
        members = _members(data)
        members["model.weights.h5"] = _edit_array(chance, members["model.weights.h5"])
        return _zipped(members)
    file = io.BytesIO(data)
    with h5py.File(file, "r+") as opened:
        names: list[str] = []
        opened.visititems(
            lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None
        )
        name = chance.choice(names)
        is_small = opened[name].size < _LARGE  # one that an edit declared may be of terabytes
        values = opened[name][()] if is_small else np.zeros(3, "f4")
        del opened[name]
        kind = chance.randrange(8)
        if kind == 0:
            opened.create_dataset(name, (1 << chance.randrange(10, 40),), "f4", chunks=(1024,))
        elif kind == 1:
            opened.create_dataset(name, data=np.zeros((4096, 64), "f4"), compression="gzip")
        elif kind == 2:
            opened[name] = h5py.ExternalLink("/etc/hostname", "/")
        elif kind == 3:
            opened[name] = h5py.SoftLink("/")
        elif kind == 4:
            opened[name] = values.astype(chance.choice(["f2", "f8", "i8", "S4"]))
        elif kind == 5:
            opened[name] = np.full(values.shape, chance.choice([np.nan, np.inf, 1e38]), "f4")
        elif kind == 6:
            opened[name] = np.resize(values, (*values.shape[:-1], 7) if values.ndim else (3,))
    return file.getvalue()


def _swap_members(chance: random.Random, data: bytes) -> bytes:
    """Exchange, rename, double or compress what a zip file holds."""
    if not _is_zip(data):
        return chance.choice(_BYTES)(chance, data)
    members = _members(data)
    first, second = chance.sample(sorted(members), 2)
    kind = chance.randrange(5)
    if kind == 0:
        members[first], members[second] = members[second], members[first]
    elif kind == 1:
        members[f"../{first}"] = members.pop(first)
    elif kind == 2:
        members["model.weights.h5"] = bytes(1 << 20)
        return _zipped(members, zipfile.ZIP_DEFLATED)
    elif kind == 3:
        members["cxr_contract.json"] = members[first]
    return _zipped(members, chance.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))


def _members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _zipped(members: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()
