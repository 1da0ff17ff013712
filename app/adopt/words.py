"""What is said of a search: to whoever has to give more, or mend something."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from app.adopt.verdict import TOLERANCE, other_order
from app.xray.contract import spell_input

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.adopt.search import Case, Tried
    from app.adopt.verdict import Verdict
    from app.xray.contract import PictureContract

_MANY: Final = 6
"""Ways that are written out."""
_FIELDS: Final = ("channels", "crop", "resize", "scale", "offset", "per_picture")
_COARSE: Final = 1e-5
_NEAR: Final = 0.05


def said_by(way: PictureContract) -> str:
    """`way` as --input says it."""
    return spell_input(way)


def refusal(
    verdict: Verdict, tried: Sequence[Tried], cases: Sequence[Case], classes: tuple[str, ...]
) -> str:
    """Why nothing was written, and what to do about it."""
    if verdict.kind == "none":
        return _of_none(verdict, tried, cases, classes)
    if verdict.kind == "by chance":
        (nearest,) = verdict.nearest
        return (
            f"one combination of {verdict.tried} comes within {nearest.difference:.1g} of the "
            f"author's numbers, but so near one comes by chance in about 1 search of "
            f"{max(verdict.one_in, 1):.0f}: {said_by(nearest.way)}. Give another --like"
            f"{_more_digits(cases)}, or say so: --input '{said_by(nearest.way)}'"
        )
    return _of_several(verdict, cases)


def _of_several(verdict: Verdict, cases: Sequence[Case]) -> str:
    ways = [each.way for each in verdict.nearest]
    shown = "".join(f"\n  {said_by(way)}" for way in ways[:_MANY])
    more = f"\n  and {len(ways) - _MANY} more" if len(ways) > _MANY else ""
    differ = [name for name in _FIELDS if len({getattr(way, name) for way in ways}) > 1]
    return (
        f"{verdict.fitting} of {verdict.tried} combinations come within {TOLERANCE:g} of the "
        f"author's numbers; these cannot be told apart:{shown}{more}\n"
        f"{_advice(differ, ways[0], cases, verdict.fitting)}"
    )


def _advice(
    differ: Sequence[str], way: PictureContract, cases: Sequence[Case], fitting: int
) -> str:
    """What would tell ways apart that differ in the fields `differ`."""
    height, width = way.input_size
    shapes = {case.image.size for case in cases}
    if differ == ["crop"] and all(across * height == down * width for across, down in shapes):
        return (
            "They differ only in what they do with a picture of another aspect: give a --like of "
            "one that is not so square, or say --input crop=none (the usual) or crop=fit"
        )
    if set(differ) <= {"crop", "resize"} and shapes == {(width, height)}:
        return (
            f"Every picture given has the size of the network's input, {width} x {height}: give a "
            "--like of a larger one, or say --input resize=NAME"
        )
    if fitting > _MANY and any(case.probabilities.max() > 1 - TOLERANCE for case in cases):
        return (
            "The network is sure of this picture whatever it is fed: give a --like of one that it "
            "is less sure of"
        )
    fields = " and ".join(differ)
    return f"Give another --like{_more_digits(cases)}, or say {fields} in --input"


def _more_digits(cases: Sequence[Case]) -> str:
    if max(case.rounding for case in cases) <= _COARSE:
        return ""
    return ", with all the digits that model.predict prints"


def _of_none(
    verdict: Verdict, tried: Sequence[Tried], cases: Sequence[Case], classes: tuple[str, ...]
) -> str:
    shown = "".join(
        f"\n  {said_by(each.way)}: off by {each.difference:.2g}, it gives "
        f"{','.join(f'{number:.4f}' for number in each.found)}"
        for each in verdict.nearest
    )
    return (
        f"no combination of {verdict.tried} comes within {TOLERANCE:g} of the author's numbers; "
        f"the nearest:{shown}\n{_meaning(verdict, tried, cases, classes)}"
    )


def _meaning(
    verdict: Verdict, tried: Sequence[Tried], cases: Sequence[Case], classes: tuple[str, ...]
) -> str:
    if order := other_order(tried, cases[0]):
        names = ",".join(classes[index] for index in order)
        return f"With the classes in another order one fits: --classes {names}?"
    near = "That is near: he may decode JPEG as TensorFlow does, more roughly (take a PNG file). "
    return (
        f"{near if verdict.nearest[0].difference < _NEAR else ''}The author may do what a contract "
        "cannot say (CLAHE, a crop of the lungs), augment when he predicts, or have these numbers "
        "of another file; numbers of his own for scaling are said by --input 'scale=... offset=...'"
    )


def found(verdict: Verdict, cases: Sequence[Any]) -> list[str]:
    """What was found, line by line."""
    (nearest,) = verdict.nearest
    pictures = "1 picture" if len(cases) == 1 else f"{len(cases)} pictures"
    lines = [
        f"found: {said_by(nearest.way)}",
        f"within {max(nearest.difference, 0):.1g} of the author's numbers for {pictures}; "
        f"{verdict.tried} combinations were tried",
    ]
    if verdict.other_orders:
        lines.append(ORDER_UNKNOWN)
    return lines


ORDER_UNKNOWN: Final = (
    "Whether red or blue comes first cannot be told from gray pictures, and does not matter for "
    "them; a --like of a picture in color tells."
)
