from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING

import h5py
import keras
import numpy as np
import pytest

from app.xray.checkpoint import read_checkpoint, write_contract
from app.xray.checkpoint.container import opened
from app.xray.contract import ModelContract
from app.xray.errors import CheckpointCorrupt, CheckpointError, CheckpointRefused
from tests.networks import build_tiny

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FORMATS = pytest.mark.parametrize("ending", ["h5", "keras"])
CONTRACT = ModelContract.recipe_of_2022(["A", "B", "C"])


@FORMATS
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file:UserWarning")
def test_a_contract_is_written_into_a_copy_of_either_format(ending: str, tmp_path: Path) -> None:
    source, out = tmp_path / f"theirs.{ending}", tmp_path / f"ours.{ending}"
    network = build_tiny(keras)
    network.save(source)
    before = source.read_bytes()
    write_contract(source, ModelContract.recipe_of_2022(), out)
    write_contract(out, CONTRACT, out)
    assert source.read_bytes() == before
    with opened(out) as contents:
        assert ModelContract.model_validate_json(contents.contract or "") == CONTRACT
        assert contents.format == ("hdf5" if ending == "h5" else "keras")
    with opened(source) as contents:
        assert contents.contract is None
    again = keras.models.load_model(out)  # Keras does not mind it
    for old, new in zip(network.get_weights(), again.get_weights(), strict=True):
        assert np.array_equal(old, new)
    assert sorted(path.name for path in tmp_path.iterdir()) == [out.name, source.name]


@FORMATS
def test_what_is_no_model_gets_no_contract(ending: str, tmp_path: Path) -> None:
    source = tmp_path / f"theirs.{ending}"
    if ending == "h5":
        with h5py.File(source, "w") as file:
            file.attrs["layer_names"] = ["a"]
    else:
        with zipfile.ZipFile(source, "w") as archive:
            archive.writestr("config.json", json.dumps({}))
    with pytest.raises(CheckpointError, match=rf"theirs\.{ending}: it "):
        write_contract(source, CONTRACT, tmp_path / "ours")
    assert not (tmp_path / "ours").exists()


def zipped(names: list[str]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"\x1c\0\0\0TFL3" + bytes(90), "is TFLite's", id="tflite"),
        pytest.param(
            b"\x08\x07\x12\x07pytorch" + bytes(90), "is ONNX; .*onnx2tf -i odd", id="onnx"
        ),
        pytest.param(zipped(["archive/data.pkl"]), "is PyTorch's", id="pytorch"),
        pytest.param(b"\x80\x04\x95" + bytes(90), "is a Python pickle", id="pickle"),
        pytest.param(
            zipped(["a/saved_model.pb"]), "is a zipped SavedModel", id="zipped-saved-model"
        ),
        pytest.param(
            zipped(["converted/keras_model.h5"]), "a model within; `unzip`", id="zipped-h5"
        ),
        pytest.param(zipped(["readme"]), "is a zip file without a Keras model", id="any-zip"),
        pytest.param(
            b"version https://git-lfs.github.com/spec/v1\n",
            "`git lfs pull` fetches it",
            id="git-lfs",
        ),
        pytest.param(b"<!DOCTYPE html><html>", "is a web page", id="web-page"),
        pytest.param(b'{"modelTopology": {}}', "tensorflowjs_converter", id="tensorflow-js"),
        pytest.param(b"\x1f\x8b\x08" + bytes(90), "is compressed by gzip", id="gzip"),
    ],
)
def test_another_format_is_named_with_what_converts_it(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "odd"
    path.write_bytes(content)
    with pytest.raises(CheckpointRefused, match=rf"odd: it .*{message}") as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(path))


def test_a_saved_models_folder_is_refused_with_the_command(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(CheckpointRefused, match=r"is a SavedModel; TF_USE_LEGACY_KERAS=1 python"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("layout", ["legacy", "keras-3"])
def test_weights_alone_are_refused_with_what_saves_both(layout: str, tmp_path: Path) -> None:
    path = tmp_path / "my.weights.h5"
    with h5py.File(path, "w") as file:
        if layout == "legacy":
            file.attrs["layer_names"] = ["dense"]
        file.create_group("layers")
    with pytest.raises(CheckpointRefused, match=r"model\.load_weights\('my\.weights\.h5'\); model"):
        read_checkpoint(path)


def spoil(path: Path, change: Callable[[dict[str, bytes]], None], how: int) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.fixture
def zip_checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "model.keras"
    build_tiny(keras).save(path)
    write_contract(path, CONTRACT, path)
    return path


def test_a_zip_file_that_compresses_is_read_too(zip_checkpoint: Path) -> None:
    spoil(zip_checkpoint, lambda _: None, zipfile.ZIP_DEFLATED)
    assert read_checkpoint(zip_checkpoint).contract == CONTRACT


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        pytest.param(
            lambda members: members.pop("model.weights.h5"),
            CheckpointRefused,
            "without a Keras model",
            id="without-weights",
        ),
        pytest.param(
            lambda members: members.update({"model.weights.h5": b"no HDF5"}),
            CheckpointCorrupt,
            "not a readable",
            id="weights-of-another-format",
        ),
        pytest.param(
            lambda members: members.update({"metadata.json": b"[]"}),
            CheckpointCorrupt,
            "does not say which Keras",
            id="metadata-that-is-none",
        ),
        pytest.param(
            lambda members: members.update({"cxr_contract.json": b'{"schema_version": 99}'}),
            CheckpointRefused,
            "no contract of schema version",
            id="a-contract-of-a-later-schema",
        ),
        pytest.param(
            lambda members: members.update({"config.json": b" " * (1 << 25)}),
            CheckpointRefused,
            "config.json has more than",
            id="a-configuration-without-end",
        ),
    ],
)
def test_a_zip_file_with_other_members_is_refused(
    change: Callable[[dict[str, bytes]], None], error: type, message: str, zip_checkpoint: Path
) -> None:
    spoil(zip_checkpoint, change, zipfile.ZIP_DEFLATED)
    with pytest.raises(error, match=rf"model\.keras: .*{message}"):
        read_checkpoint(zip_checkpoint)


def test_a_damaged_member_is_told_by_its_checksum(zip_checkpoint: Path) -> None:
    data = bytearray(zip_checkpoint.read_bytes())
    place = data.find(b"\x89HDF") + 3000
    data[place] ^= 1
    zip_checkpoint.write_bytes(data)
    with pytest.raises(CheckpointCorrupt, match=r"not a readable \.keras zip: Bad CRC-32"):
        read_checkpoint(zip_checkpoint)


def test_weights_that_another_layer_has_are_told(zip_checkpoint: Path) -> None:
    """Keras 3 numbers layers by their class: one more of a class, and all behind it move."""

    def change(members: dict[str, bytes]) -> None:
        file = io.BytesIO(members["model.weights.h5"])
        with h5py.File(file, "r+") as weights:
            weights["layers/dense"].attrs["name"] = "another"
        members["model.weights.h5"] = file.getvalue()

    spoil(zip_checkpoint, change, zipfile.ZIP_STORED)
    with pytest.raises(CheckpointCorrupt, match="the file has those of 'another'"):
        read_checkpoint(zip_checkpoint)
