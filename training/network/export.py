"""A trained network and its contract -> one inference-only .h5, written atomically."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import absl.logging
import h5py

from app.xray.contract import ATTRIBUTE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.xray.contract import ModelContract


def export_checkpoint(network: Any, contract: ModelContract, path: Path) -> None:
    """Save `network` without its optimizer, and `contract` inside it, to `path`, atomically."""
    with replacing(path) as partial:
        with _quiet_about_legacy_format():
            network.save(partial, include_optimizer=False)
        with h5py.File(partial, "r+") as file:
            contract.write(file)


def rewrite_contract(path: Path, contract: ModelContract) -> None:
    """Put `contract` in the place of the one in the checkpoint at `path`, atomically.

    The weights stay what they were, bit for bit. All else is copied into a new file: HDF5 does not
    give back the room of an attribute that is written anew.
    """
    with replacing(path) as partial, h5py.File(path, "r") as old, h5py.File(partial, "w") as new:
        for name in old:
            old.copy(name, new)
        for name in sorted(set(old.attrs) - {ATTRIBUTE}):
            new.attrs[name] = old.attrs[name]
        contract.write(new)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well.

    Whoever reads `path` meanwhile sees the old file or the new one, never a part of either.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        partial.chmod(0o644)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _quiet_about_legacy_format() -> Iterator[None]:
    """Keras warns at every .h5; this project's file format is fixed, and that it is one."""
    before = absl.logging.get_verbosity()
    absl.logging.set_verbosity(absl.logging.ERROR)
    try:
        yield
    finally:
        absl.logging.set_verbosity(before)
