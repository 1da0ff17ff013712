"""`python -m app.adopt`: somebody's checkpoint, and his numbers, to one with a contract."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.adopt import words
from app.adopt.candidates import candidates, said_outright
from app.adopt.likes import Like, read_like
from app.adopt.network import load
from app.adopt.search import Case, Search
from app.adopt.verdict import judge
from app.runtime.children import end_children, leave_no_core
from app.runtime.logs import hush_pillow
from app.xray.checkpoint import write_contract
from app.xray.contract import parse_input
from app.xray.errors import AdoptionError, CxrError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.adopt.network import Foreign
    from app.xray.contract import PictureContract

EXIT_OPERATOR: Final = 2
EXIT_INTERRUPTED: Final = 130
_OF_THE_FILE: Final = frozenset({"input_size", "output"})
"""What --input says that is no way of preparing a picture."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the contract that is found; 2 where none is, or something must be mended."""
    flags = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
    console = Console(stderr=True, highlight=False)
    try:
        leave_no_core()
        hush_pillow()
        _adopt(flags, console)
    except CxrError as error:
        console.print(f"error: {error}", markup=False, soft_wrap=True)
        return EXIT_OPERATOR
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    finally:
        end_children()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m app.adopt",
        description="Find out how the author of a Keras classifier prepares pictures, from his own "
        "numbers for some, and write a copy of his file that carries it as its contract.",
    )
    parser.add_argument("theirs", type=Path, metavar="THEIRS", help="a .h5, .hdf5 or .keras file")
    parser.add_argument(
        "--classes",
        required=True,
        metavar="NAME,NAME",
        help="in the order of the network's outputs; for one output: that of 0, that of 1",
    )
    parser.add_argument(
        "--like",
        action="append",
        default=[],
        metavar="PICTURE=NUMBER,NUMBER",
        help="a picture, and what the author's model.predict gives for it, with all its digits; "
        "one number where it gives one",
    )
    parser.add_argument(
        "--input",
        default="",
        metavar="'NAME=VALUE ...'",
        help="what is known of the input, as in 'size=150 channels=gray scale=1/255 "
        "resize=bilinear-opencv'; only the rest is looked for",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    return parser


def _adopt(flags: argparse.Namespace, console: Console) -> None:
    classes = _classes(flags.classes)
    _refuse_bad_out(flags.out, flags.theirs)
    said = _input(flags.input)
    likes = [read_like(text) for text in flags.like]
    foreign = load(flags.theirs, classes, said)
    console.print(foreign.description, markup=False, soft_wrap=True)
    size, channels = foreign.ends.size, foreign.ends.channels
    of_input = {name: value for name, value in said.items() if name not in _OF_THE_FILE}
    caveats: tuple[str, ...] = ()
    if likes:
        ways = candidates(size, channels, of_input)
        way, caveats = _search(ways, likes, foreign, console)
    else:
        way = said_outright(size, channels, of_input)
        console.print(f"as was said: {words.said_by(way)}", markup=False, soft_wrap=True)
    contract = foreign.contract.model_copy(update={**way.model_dump(), "caveats": caveats})
    try:
        write_contract(flags.theirs, contract, flags.out)
    except OSError as error:
        raise AdoptionError(f"--out: {flags.out}: cannot be written: {error.strerror}") from error
    console.print(
        f"written to {flags.out}; CXR_MODEL_PATH={flags.out} python -m app serves it, "
        f"uncalibrated until python -m training calibrate --model {flags.out}",
        markup=False,
        soft_wrap=True,
    )


def _search(
    ways: Sequence[PictureContract], likes: Sequence[Like], foreign: Foreign, console: Console
) -> tuple[PictureContract, tuple[str, ...]]:
    """The one of `ways` that gives the numbers of `likes`, and what is not known of it.

    Raises:
        AdoptionError: there is no such, or several; says what to do.
    """
    classes, output = foreign.contract.classes, foreign.contract.output
    cases = [Case(like.image, like.probabilities(classes, output), like.rounding) for like in likes]
    search = Search(cases, foreign.run)
    columns = (TextColumn("combinations"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=len(ways))
        tried = search.try_all(ways, lambda: progress.advance(bar))
    verdict = judge(tried, cases, search.answers)
    if verdict.kind != "found":
        raise AdoptionError(words.refusal(verdict, tried, cases, classes))
    for line in words.found(verdict, cases):
        console.print(line, markup=False, soft_wrap=True)
    return verdict.nearest[0].way, (words.ORDER_UNKNOWN,) if verdict.other_orders else ()


def _classes(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if len(names) < 2 or not all(names) or len(set(names)) != len(names):
        raise AdoptionError(
            f"--classes {text}: two or more different names are needed, in the order of the "
            "network's outputs"
        )
    return names


def _input(text: str) -> dict[str, Any]:
    try:
        return parse_input(text) if text else {}
    except ValueError as error:
        raise AdoptionError(f"--input: {error}") from error


def _refuse_bad_out(out: Path, theirs: Path) -> None:
    if not out.absolute().parent.is_dir():
        raise AdoptionError(f"--out: {out.parent}: no such folder")
    if out.is_dir() or (out.exists() and theirs.exists() and out.samefile(theirs)):
        raise AdoptionError(f"--out: {out}: expected another file than {theirs}, which stays as is")


if __name__ == "__main__":
    sys.exit(main())
