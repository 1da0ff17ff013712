"""Ways of making a model input: those that people use, as far as a contract can say them."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, Final, NamedTuple, get_args

from pydantic import ValidationError

from app.xray.contract import RESIZINGS, PictureContract
from app.xray.errors import AdoptionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PerChannel = float | tuple[float, ...]

_MEANS_CAFFE: Final = (103.939, 116.779, 123.68)
_MEANS_TORCH: Final = (0.485, 0.456, 0.406)
_DEVIATIONS_TORCH: Final = (0.229, 0.224, 0.225)
_LEVELS: Final = 255.0


class Scaling(NamedTuple):
    """What is done to pixels of 0 to 255, by `PictureContract`'s fields of these names."""

    scale: PerChannel
    offset: PerChannel = 0.0
    per_picture: str = "none"


def _times(numbers: tuple[float, ...], factor: float) -> tuple[float, ...]:
    return tuple(number * factor for number in numbers)


_CAFFE: Final = _times(_MEANS_CAFFE, -1)
_TORCH_SCALE: Final = tuple(1 / (_LEVELS * deviation) for deviation in _DEVIATIONS_TORCH)
_TORCH_OFFSET: Final = tuple(-m / d for m, d in zip(_MEANS_TORCH, _DEVIATIONS_TORCH, strict=True))
_FOR_ALL: Final = (
    Scaling(1 / _LEVELS),
    Scaling(1.0),
    Scaling(1 / 127.5, -1.0),  # `preprocess_input` of the family tf
    Scaling(1.0, per_picture="standardize"),
    Scaling(1.0, per_picture="center"),
    Scaling(1 / _LEVELS, per_picture="standardize"),
    Scaling(1 / _LEVELS, per_picture="center"),
    Scaling(1 / 127, -1.0),  # Teachable Machine until 2021
    Scaling(1 / 128, -1.0),
    Scaling(1 / _LEVELS, -0.5),
    Scaling(1 / 256),
    # Both a `preprocessing_function` and `rescale=1/255`, in either order.
    Scaling(1 / 127.5 / _LEVELS, -1 / _LEVELS),
    Scaling(1 / 127.5 / _LEVELS, -1.0),
)
_IN_COLOR: Final = (
    # `preprocess_input` of the families caffe and torch.
    Scaling(1.0, _CAFFE),
    Scaling(_TORCH_SCALE, _TORCH_OFFSET),
    # Both of each and `rescale=1/255`, in either order.
    Scaling(1 / _LEVELS, _times(_CAFFE, 1 / _LEVELS)),
    Scaling(1 / _LEVELS, _CAFFE),
    Scaling(_times(_TORCH_SCALE, 1 / _LEVELS), _times(_TORCH_OFFSET, 1 / _LEVELS)),
    Scaling(_times(_TORCH_SCALE, 1 / _LEVELS), _TORCH_OFFSET),
)
_BLUE_FIRST: Final = frozenset({_CAFFE, _times(_CAFFE, 1 / _LEVELS)})
"""Offsets that `preprocess_input` subtracts after it has turned red, green, blue around."""
_FIRST_RESIZINGS: Final = (
    "nearest", "bilinear-opencv", "bilinear-tensorflow", "bilinear", "bicubic", "lanczos",
    "area-opencv",
)  # fmt: skip
"""By how common they are; where two have the same effect, the first of them is said."""


def candidates(
    size: tuple[int, int], channels: int, said: Mapping[str, Any]
) -> list[PictureContract]:
    """All ways for a network that takes (height, width, channels), the most usual ones first.

    Those fields that `said` has, by `PictureContract`'s names, are left as they are there; an
    offset that is not said is none where the scale is said.

    Raises:
        AdoptionError: what is said cannot be, or not for this network.
    """
    order = said.get("channels")
    if order is not None and (order == "gray") != (channels == 1):
        raise AdoptionError(f"--input: channels {order}, but the network takes {channels} of them")
    found: dict[PictureContract, None] = {}
    refused = ""
    for fields in _fields(channels, said):
        try:
            candidate = PictureContract(input_size=size, **(fields | dict(said)))
        except ValidationError as error:
            refused = str(error.errors()[0]["msg"])
            continue
        found.setdefault(candidate)
    if not found:
        raise AdoptionError(f"--input: {refused.removeprefix('Value error, ')}")
    return list(found)


def _fields(channels: int, said: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    resizings = [*_FIRST_RESIZINGS, *(name for name in RESIZINGS if name not in _FIRST_RESIZINGS)]
    crops = get_args(PictureContract.model_fields["crop"].annotation)
    for scaling, crop, resize in product(_scalings(channels, said), crops, resizings):
        for order in _orders(channels, scaling):
            yield {"channels": order, "crop": crop, "resize": resize, **scaling._asdict()}


def _scalings(channels: int, said: Mapping[str, Any]) -> list[Scaling]:
    if "scale" in said or "offset" in said:
        own = Scaling(said.get("scale", 1.0), said.get("offset", 0.0))
        return [own._replace(per_picture=name) for name in ("none", "standardize", "center")]
    return [*_FOR_ALL, *(_IN_COLOR if channels > 1 else ())]


def _orders(channels: int, scaling: Scaling) -> tuple[str, ...]:
    if channels == 1:
        return ("gray",)
    return ("bgr", "rgb") if scaling.offset in _BLUE_FIRST else ("rgb", "bgr")


def said_outright(size: tuple[int, int], channels: int, said: Mapping[str, Any]) -> PictureContract:
    """The one way that `said` leaves, without any number of the author's to hold it against.

    What is not said of crop, offset and `per_picture` is that nothing is done.

    Raises:
        AdoptionError: resizing, scale or the order of three channels is not said.
    """
    needed = ("resize", "scale", *(("channels",) if channels > 1 else ()))
    if missing := [name for name in needed if name not in said]:
        raise AdoptionError(
            f"not known: {', '.join(missing)}; give the author's numbers for a picture (--like "
            "xray.jpg=0.12,0.88), or say it: --input 'channels=rgb scale=1/255 resize=nearest'"
        )
    alone = {"crop": "none", "per_picture": "none", **said}
    return candidates(size, channels, alone)[0]
