"""The layers that are loaded: what image classifiers are made of, and none that can run code.

Only numbers, texts and lists of them go on from a file, under the names that stand here; no object
in it is ever made anew. Initializers, regularizers, constraints and precisions are left aside:
they change nothing once the weights are there, which are float32 whatever they were trained in.
"""

from __future__ import annotations

from typing import Any, Final

from app.xray.checkpoint.architecture.activations import (
    Link,
    activation_name,
    is_built_in,
    links,
)
from app.xray.errors import CheckpointRefused

_CONVOLUTION: Final = "kernel_size strides padding dilation_rate use_bias activation "
_POOLING: Final = "pool_size strides padding"
SETTINGS: Final = {
    kind: frozenset(names.split())
    for kind, names in {
        "Activation": "activation",
        "Add": "",
        "Average": "",
        "AveragePooling2D": _POOLING,
        "BatchNormalization": "axis epsilon center scale",
        "Concatenate": "axis",
        "Conv1D": _CONVOLUTION + "filters groups",
        "Conv2D": _CONVOLUTION + "filters groups",
        "Conv2DTranspose": _CONVOLUTION + "filters output_padding",
        "Cropping2D": "cropping",
        "Dense": "units use_bias activation",
        "DepthwiseConv2D": _CONVOLUTION + "depth_multiplier",
        "Dropout": "rate",
        "ELU": "alpha",
        "Flatten": "",
        "GlobalAveragePooling1D": "keepdims",
        "GlobalAveragePooling2D": "keepdims",
        "GlobalMaxPooling1D": "keepdims",
        "GlobalMaxPooling2D": "keepdims",
        "GroupNormalization": "groups axis epsilon center scale",
        "LayerNormalization": "axis epsilon center scale",
        "LeakyReLU": "negative_slope",
        "MaxPooling2D": _POOLING,
        "Maximum": "",
        "Minimum": "",
        "MultiHeadAttention": "num_heads key_dim value_dim use_bias output_shape attention_axes",
        "Multiply": "",
        "Normalization": "axis mean variance invert",
        "PReLU": "shared_axes",
        "Permute": "dims",
        "ReLU": "max_value negative_slope threshold",
        "RepeatVector": "n",
        "Rescaling": "scale offset",
        "Reshape": "target_shape",
        "Resizing": "height width interpolation crop_to_aspect_ratio pad_to_aspect_ratio "
        "fill_mode fill_value",
        "SeparableConv2D": _CONVOLUTION + "filters depth_multiplier",
        "Softmax": "axis",
        "SpatialDropout2D": "rate",
        "Subtract": "",
        "ThresholdedReLU": "theta",
        "UnitNormalization": "axis",
        "UpSampling2D": "size interpolation",
        "ZeroPadding2D": "padding",
    }.items()
}
DROPPED: Final = frozenset(
    """
    ActivityRegularization AlphaDropout AugMix CutMix GaussianDropout GaussianNoise Identity MixUp
    RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast
    RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale RandomHeight
    RandomHue RandomInvert RandomPerspective RandomPosterization RandomRotation RandomSaturation
    RandomSharpness RandomShear RandomTranslation RandomWidth RandomZoom SpatialDropout1D
    """.split()
)
"""Layers that give what they take unless the network is being trained."""
_RENAMED: Final = {
    "AvgPool2D": "AveragePooling2D",
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "Convolution2D": "Conv2D",
    "Convolution2DTranspose": "Conv2DTranspose",
    "DropoutV2": "Dropout",
    "GlobalAvgPool2D": "GlobalAveragePooling2D",
    "GlobalMaxPool2D": "GlobalMaxPooling2D",
    "LayerNormalizationV2": "LayerNormalization",
    "MaxPool2D": "MaxPooling2D",
    "SeparableConvolution2D": "SeparableConv2D",
    "SyncBatchNormalization": "BatchNormalization",
}
_INSTEAD: Final = {
    "Lambda": "it can run any code; write it as a layer (Rescaling for a factor, Resizing for a "
    "size), or leave it out and have the contract scale",
    "RandomCrop": "it crops when it infers too; use CenterCrop's size as the contract's crop",
    "TFSMLayer": "it runs a SavedModel; save the Keras model itself",
}
_IGNORED: Final = frozenset(
    """
    activity_regularizer autocast batch_input_shape batch_size bias_constraint build_config
    build_input_shape data_format dropout dtype fused input_dim input_dtype input_length input_shape
    key_shape lora_alpha lora_rank momentum name noise_shape quantization_config query_shape rank
    ragged rate renorm_momentum rng_type seed sparse synchronized trainable value_shape
    virtual_batch_size
    """.split()
)
_ENDINGS_IGNORED: Final = ("_initializer", "_regularizer", "_constraint")
_NOTHING: Final[tuple[Any, ...]] = (None, False, 0, [], "", {})


def kind_of(class_name: Any, layer: str) -> str:
    """Keras 3's name of the class, where that is loaded.

    Raises:
        CheckpointRefused: it is not; says what to do instead where that is known.
    """
    name = _RENAMED.get(class_name, class_name) if isinstance(class_name, str) else None
    if name in SETTINGS or name in DROPPED:
        return str(name)
    shown = str(class_name)[:60]
    instead = _INSTEAD.get(shown, "only Keras' own layers for images are loaded, no code")
    raise CheckpointRefused(f"layer {layer!r} is or holds a {shown}: {instead}")


def chain_of(kind: str, config: dict[str, Any], name: str, *, is_keras_2: bool) -> list[Link]:
    """What a layer of `kind` with the settings `config` is in Keras 3: layers one after the other.

    The first has its weights. None where it does nothing when it infers.

    Raises:
        CheckpointRefused: a setting is not known, so that what it means is not either.
    """
    if kind in DROPPED:
        return []
    _refuse_channels_first(config, name)
    config = _renamed(kind, config)
    settings: dict[str, Any] = {}
    for key, value in config.items():
        if key in SETTINGS[kind]:
            settings[key] = value
        elif not _is_ignored(key) and value not in _NOTHING:
            raise CheckpointRefused(
                f"layer {name!r}, a {kind}, has the setting {key[:40]} = {str(value)[:40]}, which "
                "is not known here"
            )
    if kind == "ThresholdedReLU":
        return [("ReLU", {"threshold": settings.get("theta", 1.0)})]
    behind: list[Link] = []
    if "activation" in settings:
        called = activation_name(settings["activation"], name)
        if called is None:
            inner = settings["activation"]
            behind = chain_of(
                kind_of(inner["class_name"], name), inner["config"], name, is_keras_2=is_keras_2
            )
            called = "linear"
        elif not is_built_in(called, is_keras_2=is_keras_2):
            behind, called = links(called, is_keras_2=is_keras_2), "linear"
        settings["activation"] = called
    if kind == "Activation":
        return behind or links(settings["activation"], is_keras_2=is_keras_2)
    return [(kind, {key: _plain(value, key, name) for key, value in settings.items()}), *behind]


def _renamed(kind: str, config: dict[str, Any]) -> dict[str, Any]:
    """Settings by their names of today."""
    config = dict(config)
    if kind == "LeakyReLU" and "alpha" in config:
        config["negative_slope"] = config.pop("alpha")
    if kind == "DepthwiseConv2D":  # of which Keras 2 wrote what it has of Conv2D
        config = {key: value for key, value in config.items() if key not in ("groups", "filters")}
    if "groups" not in SETTINGS[kind] and config.get("groups") == 1:
        del config["groups"]
    if kind == "BatchNormalization":
        config.pop("renorm_clipping", None)
    if isinstance(config.get("axis"), list) and len(config["axis"]) == 1:
        (config["axis"],) = config["axis"]
    return config


def _is_ignored(key: str) -> bool:
    return key in _IGNORED or key.endswith(_ENDINGS_IGNORED)


def _refuse_channels_first(config: dict[str, Any], name: str) -> None:
    if config.get("data_format") == "channels_first":
        raise CheckpointRefused(
            f"layer {name!r} has its channels first; save the network with channels last"
        )


def _plain(value: Any, key: str, name: str) -> Any:
    """A number, a text, or lists of them, as Keras 3 takes them."""
    if isinstance(value, dict) and value.get("class_name") == "__numpy__":
        value = value["config"]["value"]
    if isinstance(value, dict) and value.get("class_name") == "__tuple__":
        value = value["items"]
    if isinstance(value, list):
        return [_plain(item, key, name) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    kind = value.get("class_name", "object") if isinstance(value, dict) else type(value).__name__
    raise CheckpointRefused(f"layer {name!r} is or holds a {str(kind)[:60]} as its {key}")
