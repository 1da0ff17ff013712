"""An 8-bit picture -> model input: the door. The only place that resizes or rescales."""

from app.xray.preprocess.resize import seen_part, to_image, to_pixels
from app.xray.preprocess.road import (
    can_be_turned,
    decode_for,
    negative,
    preprocess,
    rescale,
    to_input,
    to_levels,
    to_rgb,
)

__all__ = [
    "can_be_turned",
    "decode_for",
    "negative",
    "preprocess",
    "rescale",
    "seen_part",
    "to_image",
    "to_input",
    "to_levels",
    "to_pixels",
    "to_rgb",
]
