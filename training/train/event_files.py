"""The figures of each epoch as TensorBoard reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from app.xray.errors import TrainingError

if TYPE_CHECKING:
    from pathlib import Path


class EventFiles(keras.callbacks.Callback):  # type: ignore[misc]  # keras has no types
    """Write each figure of an epoch as a scalar, in event files in `train` and `validation`.

    TensorFlow writes them without TensorBoard, which need not be there: Keras' own callback asks
    for it. A run that goes on after a stop goes on in files of its own, which TensorBoard joins.

    Raises:
        TrainingError: Keras runs on another backend.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        if keras.backend.backend() != "tensorflow":
            raise TrainingError("--tensorboard: needs Keras on TensorFlow: KERAS_BACKEND")
        self._folder = folder
        self._writers: dict[str, Any] = {}

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        import tensorflow as tf

        for name, figure in (logs or {}).items():
            part = "validation" if name.startswith("val_") else "train"
            if part not in self._writers:
                self._writers[part] = tf.summary.create_file_writer(str(self._folder / part))
            is_rate = name == "learning_rate"
            tag = name if is_rate else f"epoch_{name.removeprefix('val_')}"
            with self._writers[part].as_default():
                metadata = tf.compat.v1.SummaryMetadata()
                metadata.plugin_data.plugin_name = "scalars"
                tf.summary.write(tag, tf.constant(float(figure)), step=epoch, metadata=metadata)
            self._writers[part].flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        for writer in self._writers.values():
            writer.close()
