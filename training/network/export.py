"""A trained network and its contract -> one inference-only .h5, written atomically."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import absl.logging
import h5py

from app.xray.checkpoint.container import copy_hdf5
from app.xray.replacing import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from app.xray.contract import ModelContract


def export_checkpoint(network: Any, contract: ModelContract, path: Path) -> None:
    """Save `network` without its optimizer, and `contract` inside it, to `path`, atomically."""
    with replacing(path) as partial:
        with _quiet_about_legacy_format():
            network.save(partial, include_optimizer=False)
        with h5py.File(partial, "r+") as file:
            contract.write(file)


def rewrite_contract(path: Path, contract: ModelContract, out: Path | None = None) -> None:
    """Put `contract` in the place of the one in the checkpoint at `path`, atomically.

    With `out`, in a copy there. The weights stay what they were, bit for bit.
    """
    with replacing(out or path) as partial:
        copy_hdf5(path, partial, contract.model_dump_json())


@contextmanager
def _quiet_about_legacy_format() -> Iterator[None]:
    """Keras warns at every .h5; this project's file format is fixed, and that it is one."""
    before = absl.logging.get_verbosity()
    absl.logging.set_verbosity(absl.logging.ERROR)
    try:
        yield
    finally:
        absl.logging.set_verbosity(before)
