"""What a network takes: how its input is made of a picture, in the words of those who train."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self, get_args

from pydantic import Field, model_validator

from app.xray.contract.figures import Frozen

Channels = Literal["rgb", "bgr", "gray"]
PerPicture = Literal["none", "center", "standardize"]
Crop = Literal["none", "fit"]
PillowResize = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
OpenCVResize = Literal[
    "nearest-opencv", "bilinear-opencv", "area-opencv", "bicubic-opencv", "lanczos-opencv"
]
TensorFlowResize = Literal[
    "nearest-tensorflow", "bilinear-tensorflow", "area-tensorflow", "bicubic-tensorflow"
]
Resize = Literal[PillowResize, OpenCVResize, TensorFlowResize]

_SHRINKS: Final = frozenset({"box", "bilinear", "hamming", "bicubic", "lanczos"})
"""Methods that average over what they leave out whatever the sides, as a smaller decoding does."""

RESIZINGS: Final[dict[Resize, str]] = {
    "nearest": "Image.resize(size, Image.NEAREST); Keras' load_img and flow_from_directory",
    "box": "Image.resize(size, Image.BOX)",
    "bilinear": "Image.resize(size, Image.BILINEAR)",
    "hamming": "Image.resize(size, Image.HAMMING)",
    "bicubic": "Image.resize(size, Image.BICUBIC), Pillow's default",
    "lanczos": "Image.resize(size, Image.LANCZOS)",
    "nearest-opencv": "cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST)",
    "bilinear-opencv": "cv2.resize(picture, size), whose default is cv2.INTER_LINEAR",
    "area-opencv": "cv2.resize(picture, size, interpolation=cv2.INTER_AREA)",
    "bicubic-opencv": "cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)",
    "lanczos-opencv": "cv2.resize(picture, size, interpolation=cv2.INTER_LANCZOS4)",
    "nearest-tensorflow": "tf.image.resize(picture, size, method='nearest')",
    "bilinear-tensorflow": "tf.image.resize(picture, size); Keras' image_dataset_from_directory",
    "area-tensorflow": "tf.image.resize(picture, size, method='area')",
    "bicubic-tensorflow": "tf.image.resize(picture, size, method='bicubic')",
}
"""The call of a library that each way of resizing stands for.

Pillow's average over what they leave out ("antialiasing"), but for "nearest". OpenCV's and
TensorFlow's look at the pixels around each centre alone, but for "area".
"""

MAX_SIDE: Final = 4096
Side = Annotated[int, Field(gt=0, le=MAX_SIDE)]
PerChannel = float | Annotated[tuple[float, ...], Field(min_length=1, max_length=3)]
"""One number for all channels, or one for each in their order."""


class PictureContract(Frozen):
    """How a model input is made of a decoded picture; `app.xray.preprocess` does it.

    In this order:

    - `channels`: the picture in color ("rgb", or "bgr": blue first, as OpenCV reads files) or
      "gray": one channel, 0.299 R + 0.587 G + 0.114 B, which leaves a gray picture as it is.
    - `crop`: "fit" takes of the middle what has the aspect of `input_size`, as Pillow's
      `ImageOps.fit` does with Pillow's methods, and Keras' `smart_resize` with TensorFlow's.
    - `resize`: to `input_size` (height, width), by the function that `RESIZINGS` names. Pixels are
      8-bit, but float32 by TensorFlow's, which do not round.
    - `scale` and `offset`: pixels x scale + offset in float32, each one number or one for each of
      `channels`, in their order.
    - `per_picture`: "center" subtracts the mean over the whole of this, "standardize" divides the
      rest by its standard deviation + 1e-6: `samplewise_center` and
      `samplewise_std_normalization` of Keras' `ImageDataGenerator`.

    Where `decode` is "scaled", a JPEG much larger than `input_size` is decoded at a part of its
    size first.
    """

    input_size: tuple[Side, Side]
    channels: Channels = "rgb"
    resize: Resize
    crop: Crop = "none"
    decode: Literal["full", "scaled"] = "full"
    scale: PerChannel
    offset: PerChannel = 0.0
    per_picture: PerPicture = "none"

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape of one model input: (height, width, channels)."""
        return (*self.input_size, 1 if self.channels == "gray" else 3)

    @model_validator(mode="after")
    def _input_agrees(self) -> Self:
        *_, channels = self.input_shape
        for name, numbers in (("scale", self.scale), ("offset", self.offset)):
            if isinstance(numbers, tuple) and len(numbers) != channels:
                raise ValueError(
                    f"{name} has {len(numbers)} numbers, but {self.channels} has {channels}"
                )
        if self.decode == "scaled" and self.resize not in _SHRINKS:
            raise ValueError(
                f"resize {self.resize} takes single pixels: it needs decode full; "
                f"{', '.join(sorted(_SHRINKS))} do not"
            )
        if self.crop != "none" and self.resize in get_args(OpenCVResize):
            raise ValueError(
                f"crop {self.crop} has no meaning in OpenCV: it needs one of Pillow's methods or "
                f"TensorFlow's, not resize {self.resize}"
            )
        return self
