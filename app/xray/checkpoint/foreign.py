"""Files that are no whole Keras model: what each is by its contents, and what makes it one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import zipfile
    from pathlib import Path

HEAD_BYTES: Final = 512
SAVED_MODEL: Final = "saved_model.pb"

_BY_KERAS_2: Final = 'TF_USE_LEGACY_KERAS=1 python -c "import tensorflow as tf; {}" (tf_keras)'
_PYTORCH: Final = (
    "is PyTorch's; no command makes a Keras model of it: build the network in Keras, copy the "
    "weights and model.save('model.keras')"
)
_ZIPPED: Final = (
    # what a zip file's names end in, and what it is
    ("data.pkl", _PYTORCH),
    (SAVED_MODEL, "is a zipped SavedModel; unzip it, then convert the folder"),
    (".h5", "is a zip file with a model within; `unzip` it"),
    (".keras", "is a zip file with a model within; `unzip` it"),
    (".npy", "is NumPy's archive of arrays, without a network; build the network and model.save()"),
)
_BY_HEAD: Final = (
    (
        b"version https://git-lfs",
        "is a pointer of Git LFS, not the file; `git lfs pull` fetches it",
    ),
    (b"Rar!", "is a RAR archive; unpack it"),
    (b"7z\xbc\xaf", "is a 7-Zip archive; unpack it"),
    (b"\x1f\x8b", "is compressed by gzip; `gunzip` or `tar -xzf` unpacks it"),
)


def saved_model(folder: Path) -> str | None:
    """What to say of `folder`; None where it is neither a SavedModel nor weights of TensorFlow."""
    if (folder / SAVED_MODEL).is_file():
        return _saved_model(folder.name)
    if (folder / "checkpoint").is_file():
        return f"is a folder of TensorFlow's weights alone; {_weights_alone('FOLDER/NAME')}"
    return None


def weights_alone(name: str) -> str:
    """What to say of a file `name` of weights without their network."""
    return f"holds weights without their network; {_weights_alone(name)}"


def tell(head: bytes, name: str) -> str | None:
    """What to say of a file `name` whose first `HEAD_BYTES` are `head`; None where that is open."""
    for start, said in _BY_HEAD:
        if head.startswith(start):
            return said
    if head[4:8] == b"TFL3":
        return (
            "is TFLite's, made for phones; no command makes a Keras model of it: take the .h5 or "
            "SavedModel that it was converted from"
        )
    if _is_onnx(head):
        return (
            f"is ONNX; `pip install onnx2tf && onnx2tf -i {name} -oh5` makes an .h5 of most of "
            "them, which has to be adopted"
        )
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "is a Python pickle (PyTorch, joblib): unpickling runs code, it is not opened"
    if head[257:262] == b"ustar":
        return f"is a tar archive; `tar -xf {name}` unpacks it"
    return _tell_text(head.lstrip(), name)


def tell_zip(archive: zipfile.ZipFile) -> str:
    """What to say of a zip file that is no Keras model."""
    names = archive.namelist()
    for ending, said in _ZIPPED:
        if any(name.endswith(ending) for name in names):
            return said
    return "is a zip file without a Keras model (config.json and model.weights.h5)"


def _tell_text(text: bytes, name: str) -> str | None:
    if text[:1] == b"<":
        if b"<net" in text:
            return "is OpenVINO's graph; take the Keras model that it was made of"
        return "is a web page, not the file; the download wants another address"
    if text[:1] == b"{":
        return (
            f"is JSON, as TensorFlow.js has models: `pip install tensorflowjs && "
            f"tensorflowjs_converter --input_format tfjs_layers_model --output_format keras {name} "
            "model.h5` makes an .h5 of one"
        )
    if name == SAVED_MODEL:
        return _saved_model("FOLDER")
    return None


def _saved_model(folder: str) -> str:
    call = f"tf.keras.models.load_model('{folder}', compile=False).save('model.h5')"
    return f"is a SavedModel; {_BY_KERAS_2.format(call)} converts it"


def _weights_alone(name: str) -> str:
    return (
        f"where the network is built: model.load_weights('{name}'); model.save('model.keras') "
        "writes both"
    )


def _is_onnx(head: bytes) -> bool:
    """Whether it begins as ONNX' ModelProto does: ir_version, then who made it.

    Both are fields of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
    """
    return head[:1] == b"\x08" and head[1:2] < b"\x20" and head[2:3] in (b"\x12", b":", b"B")
