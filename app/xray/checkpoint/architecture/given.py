"""One layer's settings, read with the error that names it, and what a call of it costs."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from app.xray.errors import CheckpointCorrupt, CheckpointRefused

Shape = tuple[int, ...]

MAX_EXTENT: Final = 65_536


class Cost(NamedTuple):
    """Of one call of a layer."""

    shape: Shape
    """Of what it gives for one picture."""
    weights: tuple[tuple[str, Shape], ...] = ()
    """Names and shapes, in the order in which Keras stores them."""
    multiplications: int = 0
    hidden: int = 0
    """Numbers that it makes on the way, which show in no output."""


class Given(NamedTuple):
    """The settings of one layer, read with the error that names it."""

    kind: str
    name: str
    settings: dict[str, Any]

    def wrong(self, what: str) -> CheckpointCorrupt:
        """The error to raise."""
        return CheckpointCorrupt(f"layer {self.name!r}, a {self.kind}, {what}")

    def whole(self, key: str, default: int | None = None, *, least: int = 1) -> int:
        """A whole number, from `least` to `MAX_EXTENT`."""
        value = self.settings.get(key)
        value = default if value is None else value
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if type(value) is not int or value < least:
            raise self.wrong(f"has {key} {str(value)[:40]}")
        if value > MAX_EXTENT:
            raise CheckpointRefused(
                f"layer {self.name!r} declares {key} {str(value)[:40]}; up to {MAX_EXTENT:,} is "
                "built"
            )
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false."""
        value = self.settings.get(key, default)
        if value is None:
            return default
        if not isinstance(value, bool | int):
            raise self.wrong(f"has {key} {str(value)[:40]}")
        return bool(value)

    def pair(self, key: str, default: Any = 1, *, count: int = 2, least: int = 1) -> Shape:
        """`count` whole numbers, or one that stands for all."""
        value = self.settings.get(key)
        value = default if value is None else value
        if not isinstance(value, list | tuple):
            value = [value] * count
        if len(value) != count:
            raise self.wrong(f"has {key} {str(value)[:40]}")
        return tuple(Given(self.kind, self.name, {key: v}).whole(key, least=least) for v in value)

    def ranges(self, key: str) -> tuple[Shape, Shape]:
        """((top, bottom), (left, right)), of what may be one number or two."""
        value = self.settings.get(key, 1)
        value = value if isinstance(value, list | tuple) else [value, value]
        if len(value) != 2:
            raise self.wrong(f"has {key} {str(value)[:40]}")
        top, left = (Given(self.kind, self.name, {key: side}).pair(key, least=0) for side in value)
        return top, left

    def axis(self, default: int, rank: int, key: str = "axis") -> int:
        """An axis of one picture's output, counted without the batch, which may not be meant."""
        value = self.settings.get(key, default)
        value = default if value is None else value
        if type(value) is not int or not -rank <= value <= rank or value == 0:
            raise self.wrong(f"has {key} {str(value)[:40]}, of a map of {rank} axes")
        return value - 1 if value > 0 else value + rank

    def axes(self, default: Any, rank: int, key: str = "axis") -> list[int]:
        """As `axis`, of which there may be several; all of one picture's for None."""
        value = self.settings.get(key, default)
        if value is None:
            raise self.wrong(f"has no {key}, so that it would reach over the batch")
        values = value if isinstance(value, list | tuple) else [value]
        found = [Given(self.kind, self.name, {key: item}).axis(-1, rank, key) for item in values]
        if len(set(found)) != len(found):
            raise self.wrong(f"has {key} {str(value)[:40]}")
        return found
