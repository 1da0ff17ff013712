"""What there is to train on, asked of whichever backend Keras runs on."""

from __future__ import annotations

from typing import Literal

import keras


def has_gpu() -> bool:
    """Whether the backend would put a network on a GPU."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))
    if backend == "jax":
        import jax

        return bool(jax.default_backend() == "gpu")
    return False


def precision(asked: Literal["auto", "bfloat16"]) -> str:
    """The Keras dtype policy to train with: "mixed_bfloat16" where a recipe asks for "bfloat16".

    "auto" is "mixed_float16" on a GPU, with a scaled loss, and "float32" elsewhere. Weights stay
    float32 in any (Micikevicius et al. 2018, "Mixed Precision Training"). Steps in bfloat16 take as
    long as others on a CPU; what they did for steadiness is said in docs/training-notes.md.
    """
    if asked == "bfloat16":
        return "mixed_bfloat16"
    return "mixed_float16" if has_gpu() else "float32"


def running_batch() -> int:
    """So many pictures are run at once where no gradient is taken: 256 on a GPU, 32 elsewhere.

    The batch of training is the recipe's, since what is learned depends on it.
    """
    return 256 if has_gpu() else 32
