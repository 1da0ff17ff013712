"""Keras, imported only when a model is built."""

from __future__ import annotations

import os
from typing import Any


def hush_tensorflow() -> None:
    """Have TensorFlow log no less than errors, unless the environment says otherwise.

    Takes effect only before TensorFlow is imported.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def import_keras() -> Any:
    """The `keras` module."""
    hush_tensorflow()
    import keras

    return keras
