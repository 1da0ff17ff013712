"""What decides whether two runs give the same."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version


def make_repeatable(seed: int) -> None:
    """Let the same seed, data and machine give the same numbers on CPU."""
    import keras

    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def versions() -> dict[str, str]:
    """The versions that decide a run's numbers."""
    import keras

    packages = ("keras", "numpy", "pillow", keras.backend.backend())
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def now() -> str:
    """The time, or that of SOURCE_DATE_EPOCH: with it two runs can be the same to the last bit."""
    told = os.environ.get("SOURCE_DATE_EPOCH", "")
    found = datetime.fromtimestamp(int(told), UTC) if told.isdecimal() else datetime.now(UTC)
    return found.isoformat(timespec="seconds")
