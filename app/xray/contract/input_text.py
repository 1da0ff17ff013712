"""How a picture becomes an input, as a person writes it: `size=150 channels=gray scale=1/255`."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final, get_args

from app.xray.contract.outputs import Output
from app.xray.contract.picture import MAX_SIDE, RESIZINGS, Channels, Crop, PerPicture

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from app.xray.contract.picture import PictureContract

EXAMPLE: Final = "size=224 channels=rgb scale=1/255 resize=bilinear"
_SIZE: Final = re.compile(r"([0-9]{1,4})(?:x([0-9]{1,4}))?")
_PER_CHANNEL: Final = 3


def parse_input(text: str) -> dict[str, Any]:
    """The fields of a contract that `text` says, and no others: `KEY=VALUE KEY=VALUE ...`.

    Keys: `size` (150, or HEIGHTxWIDTH), `channels`, `scale` and `offset` (a number or a fraction
    such as 1/255, or several for the channels with commas between), `per_picture`, `resize`,
    `crop`, `output`. Their values are those of `PictureContract` and `Output`; `size` becomes
    `input_size`.

    Raises:
        ValueError: a key or a value is none of those, or a key comes twice; says what may stand
            there.
    """
    fields: dict[str, Any] = {}
    for word in text.split():
        key, equals, value = word.partition("=")
        if not equals or key not in _READERS:
            raise ValueError(f"{word!r}: expected KEY=VALUE, of {', '.join(_READERS)}")
        name = "input_size" if key == "size" else key
        if name in fields:
            raise ValueError(f"{key} is said twice")
        fields[name] = _READERS[key](key, value)
    if not fields:
        raise ValueError(f"nothing is said; expected words such as {EXAMPLE}")
    return fields


def spell_input(contract: PictureContract) -> str:
    """`contract`'s input, and its output where it has one, as `parse_input` reads it.

    What is as it is where nothing is said is left out: `offset`, `per_picture`, `crop`.
    """
    height, width = contract.input_size
    said = {
        "size": str(height) if height == width else f"{height}x{width}",
        "channels": contract.channels,
        "scale": _spell_numbers(contract.scale),
        "offset": _spell_numbers(contract.offset) if contract.offset else "",
        "per_picture": contract.per_picture.replace("none", ""),
        "resize": contract.resize,
        "crop": contract.crop.replace("none", ""),
        "output": getattr(contract, "output", ""),
    }
    return " ".join(f"{key}={value}" for key, value in said.items() if value)


def _read_size(key: str, text: str) -> tuple[int, int]:
    found = _SIZE.fullmatch(text)
    sides = tuple(int(side or found[1]) for side in found.groups()) if found else (0, 0)
    if not all(0 < side <= MAX_SIDE for side in sides):
        raise ValueError(
            f"{key}={text}: expected pixels a side, such as 150, or HEIGHTxWIDTH, up to {MAX_SIDE}"
        )
    return sides[0], sides[1]


def _read_numbers(key: str, text: str) -> float | tuple[float, ...]:
    try:
        numbers = tuple(_read_number(part) for part in text.split(","))
    except (ValueError, ZeroDivisionError):
        numbers = ()
    if not (1 <= len(numbers) <= _PER_CHANNEL and all(map(math.isfinite, numbers))):
        raise ValueError(
            f"{key}={text}: expected a number, such as 1/255 or -1, or one for each channel with "
            "commas between"
        )
    return numbers[0] if len(numbers) == 1 else numbers


def _read_number(text: str) -> float:
    above, _, below = text.partition("/")
    return float(above) / float(below) if below else float(text)


def _one_of(names: Sequence[str]) -> Callable[[str, str], str]:
    def read(key: str, text: str) -> str:
        if text not in names:
            raise ValueError(f"{key}={text}: expected {', '.join(names)}")
        return text

    return read


_READERS: Final[dict[str, Callable[[str, str], Any]]] = {
    "size": _read_size,
    "channels": _one_of(get_args(Channels)),
    "scale": _read_numbers,
    "offset": _read_numbers,
    "per_picture": _one_of(get_args(PerPicture)),
    "resize": _one_of(tuple(RESIZINGS)),
    "crop": _one_of(get_args(Crop)),
    "output": _one_of(get_args(Output)),
}


def _spell_numbers(numbers: float | tuple[float, ...]) -> str:
    if isinstance(numbers, tuple):
        return ",".join(map(_spell_number, numbers))
    return _spell_number(numbers)


def _spell_number(number: float) -> str:
    """As short as it can be read back exactly: 1/255, not 0.00392156862745098."""
    if float(f"{number:.9g}") == number:
        return f"{number:.9g}"
    below = f"{1 / number:.9g}" if number else ""
    return f"1/{below}" if below and 1 / float(below) == number else repr(number)
