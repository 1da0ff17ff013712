"""How far apart two float32 computations of one network may lie.

A sum of floating-point numbers depends on the order in which they are added, and that on the number
of threads, on the size of the batch and on the instructions of the processor. A network passes such
differences on, so a test that compares two of its computations takes its bound from here. What
NumPy computes in one way needs no such room.

`python -m tests.spread` measures them. With 1, 2 and 4 threads, batches of 1, 3 and 8, oneDNN as it
comes, held to AVX2, held to SSE 4.1 and left out, TensorFlow 2.21 on an Intel Xeon with AMX gave:

|           | probabilities | feature map | pooled | gradients of the head |
| --------- | ------------- | ----------- | ------ | --------------------- |
| tiny      | 6.0e-8        | 4.0e-7      | 2.1e-7 | 1.0e-7                |
| MobileNet | 5.2e-5        | 1.3e-4      | 1.0e-4 | 5.4e-7                |

Each bound is ten to twenty times that.
"""

from __future__ import annotations

from typing import Final

TINY_PROBABILITIES: Final = 1e-6
"""Of a probability of `tests.networks.build_tiny`."""
TINY_FEATURES: Final = 5e-6
"""Of a feature of that network, as a share of the largest in the map."""
MOBILENET_PROBABILITIES: Final = 5e-4
"""Of a probability of the network of 2022, whose statistics are those of three pictures."""
HEAD_GRADIENTS: Final = 1e-5
"""Of a gradient of a head's logits, as a share of the largest."""
