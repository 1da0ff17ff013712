from __future__ import annotations

import os
import shutil
import zipfile
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
import pytest

import app.inference.engines.compiled
from app.inference.engines.compiled import compiled_model
from app.inference.engines.litert import CompiledGradients, LiteRTEngine
from app.xray.checkpoint import Checkpoint, read_checkpoint
from app.xray.errors import CheckpointCorrupt, EngineError, NotExplainable
from tests.networks import build_branched, model_inputs, write_tiny_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoint: Path) -> Checkpoint:
    return read_checkpoint(tiny_checkpoint)


@pytest.fixture(scope="module")
def entry(checkpoint: Checkpoint, cache_dir: Path) -> Path:
    return compiled_model(checkpoint, cache_dir).path


@pytest.fixture
def no_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(app.inference.engines.compiled, "version", version)


def test_an_entry_is_made_once_and_found_again(
    checkpoint: Checkpoint, entry: Path, cache_dir: Path
) -> None:
    made_at = entry.stat().st_mtime_ns
    found = compiled_model(checkpoint, cache_dir)
    assert found.path == entry
    assert entry.name == f"{checkpoint.sha256}-{found.converter}.tflite"
    assert found.converter.startswith("tensorflow-2.")
    assert 0 <= found.largest_difference < 1e-4
    assert entry.stat().st_mtime_ns == made_at
    assert not list(cache_dir.glob("*.part"))


def test_an_entry_is_found_where_tensorflow_is_not_installed(
    checkpoint: Checkpoint, entry: Path, cache_dir: Path, no_tensorflow: None
) -> None:
    assert compiled_model(checkpoint, cache_dir).path == entry


def flip(entry: Path, position: int) -> None:
    data = bytearray(entry.read_bytes())
    data[position] ^= 1
    entry.write_bytes(data)


def inside_gradients(entry: Path) -> int:
    with zipfile.ZipFile(entry) as archive:
        return archive.getinfo("gradients.tflite").header_offset + 500


def replace_gradients(entry: Path, gradients: bytes | None) -> None:
    """Leave model and label, both whole, and put others between them."""
    with zipfile.ZipFile(entry) as archive:
        label = archive.read("cxr_compiled.json")
        model = entry.read_bytes()[: archive.getinfo("gradients.tflite").header_offset]
    entry.write_bytes(model)
    with zipfile.ZipFile(entry, "a") as archive:
        if gradients is not None:
            archive.writestr("gradients.tflite", gradients)
        archive.writestr("cxr_compiled.json", label)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda entry: entry.write_bytes(b""), id="empty"),
        pytest.param(lambda entry: entry.write_bytes(entry.read_bytes()[:-100]), id="truncated"),
        pytest.param(lambda entry: flip(entry, 1000), id="a-bit-of-the-model"),
        pytest.param(lambda entry: flip(entry, -250), id="a-bit-of-the-label"),
        pytest.param(lambda entry: flip(entry, inside_gradients(entry)), id="a-bit-of-gradients"),
        pytest.param(lambda entry: replace_gradients(entry, b"TFL3"), id="other-gradients"),
        pytest.param(lambda entry: replace_gradients(entry, None), id="no-gradients"),
        pytest.param(lambda entry: entry.write_bytes(b"x" * 9999), id="something-else"),
    ],
)
def test_an_entry_that_is_not_whole_is_not_used(
    spoil: Callable[[Path], object],
    checkpoint: Checkpoint,
    entry: Path,
    tmp_path: Path,
    no_tensorflow: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    spoil(Path(shutil.copy(entry, tmp_path)))
    with pytest.raises(EngineError, match="run `python -m app compile` where it is"):
        compiled_model(checkpoint, tmp_path)
    assert "is not what it should be" in caplog.text


def test_an_entry_of_another_checkpoint_under_this_ones_name_is_not_used(
    entry: Path, tmp_path: Path, no_tensorflow: None
) -> None:
    other = read_checkpoint(write_tiny_checkpoint(tmp_path / "other.h5"))
    assert other.sha256 not in entry.name
    shutil.copy(entry, tmp_path / f"{other.sha256}-tensorflow-2.0.0.tflite")
    with pytest.raises(EngineError):
        compiled_model(other, tmp_path)


def test_a_spoilt_entry_is_made_anew(checkpoint: Checkpoint, entry: Path, tmp_path: Path) -> None:
    (tmp_path / entry.name).write_bytes(b"spoilt")
    assert compiled_model(checkpoint, tmp_path).path == tmp_path / entry.name
    assert (tmp_path / entry.name).stat().st_size >= entry.stat().st_size
    assert (tmp_path / entry.name).stat().st_mode & 0o777 == 0o644
    assert compiled_model(checkpoint, tmp_path).largest_difference < 1e-4


def test_the_fault_of_a_checkpoint_is_told_across_processes(tmp_path: Path) -> None:
    path = write_tiny_checkpoint(tmp_path / "tiny.h5")
    checkpoint = read_checkpoint(path)
    path.write_bytes(b"")
    with pytest.raises(CheckpointCorrupt, match=r"tiny\.h5: "):
        compiled_model(checkpoint, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_gradients_are_those_that_were_attached(
    checkpoint: Checkpoint, cache_dir: Path
) -> None:
    gradients = compiled_model(checkpoint, cache_dir).read_gradients()
    assert CompiledGradients(gradients)(np.ones((2, 8), np.float32)).shape == (2, 3, 8)


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: replace_gradients(path, b"TFL3")])
def test_gradients_that_are_gone_after_the_start_are_the_operators_error(
    spoil: Callable[[Path], object], checkpoint: Checkpoint, entry: Path, tmp_path: Path
) -> None:
    shutil.copy(entry, tmp_path)
    compiled = compiled_model(checkpoint, tmp_path)
    spoil(compiled.path)
    with pytest.raises(EngineError, match="the gradients cannot be read"):
        compiled.read_gradients()


def test_what_cannot_be_explained_is_compiled_and_served_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_tiny_checkpoint(tmp_path / "model.h5", network=build_branched(keras))
    checkpoint = read_checkpoint(path)
    compiled_model(checkpoint, tmp_path)
    assert "cannot be explained: layer 'concatenate" in caplog.text
    found = compiled_model(checkpoint, tmp_path)
    engine = LiteRTEngine(found.path, threads=1, read_gradients=found.read_gradients)
    assert engine.predict(model_inputs(2), with_features=True).probabilities.shape == (2, 3)
    with pytest.raises(NotExplainable, match=r"cannot be explained: .* joins 2 branches"):
        engine.gradients(np.ones((1, 8), np.float32))


def test_a_cache_that_cannot_be_written_is_the_operators_error(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(EngineError, match=r"CXR_CACHE_DIR=.* cannot be written"):
        compiled_model(checkpoint, tmp_path / "file" / "cache")


def test_a_user_without_a_home_is_told_which_setting_to_make(checkpoint: Checkpoint) -> None:
    with pytest.raises(EngineError, match="CXR_CACHE_DIR=~nobody-here/x: this user has no home"):
        compiled_model(checkpoint, Path("~nobody-here/x"))


def test_a_process_that_dies_is_an_error_with_a_reason(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.inference.engines.compiled, "convert", die)
    with pytest.raises(EngineError, match="the process that compiled it died"):
        compiled_model(checkpoint, tmp_path)
    assert list(tmp_path.iterdir()) == []


def die(*_: object) -> None:
    os._exit(9)
