"""A trained network and its contract -> one inference-only .h5, written atomically."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import absl.logging
import h5py

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


@contextmanager
def _quiet_about_legacy_format() -> Iterator[None]:
    """Keras warns at every .h5; this project's file format is fixed, and that it is one."""
    before = absl.logging.get_verbosity()
    absl.logging.set_verbosity(absl.logging.ERROR)
    try:
        yield
    finally:
        absl.logging.set_verbosity(before)
