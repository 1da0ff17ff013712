"""A project of the zoo, adopted and served as a stranger would, and how far its answers are off."""

from __future__ import annotations

import asyncio
import io
import re
from contextlib import redirect_stderr
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from app.adopt.__main__ import main
from app.main import create_app
from app.settings import read_settings
from tests.app.fakes import client_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.zoo.projects import Project

_DIGITS: Final = 8
"""With which NumPy, and so `print(model.predict(x))`, prints float32."""


class Outcome(NamedTuple):
    """What became of a project."""

    project: Project
    found: str | None
    """The input that was found, as --input says it; None where it was refused."""
    said: str
    """All that `adopt` said."""
    difference: float | None
    """The largest, of any probability of the pictures that were not given to `adopt`."""

    @property
    def is_right(self) -> bool:
        return self.difference is not None and self.difference <= 1e-3


def adopt_and_serve(project: Project, folder: Path, *more: str) -> Outcome:
    """Make the project's file, adopt it by the first of its pictures, and ask for the others.

    `more` are further flags of `adopt`.
    """
    pictures = project.pictures(folder)
    theirs, answers = project.make(folder, pictures)
    out = folder / f"adopted-{theirs.name}"
    arguments = [str(theirs), "--classes", ",".join(project.classes), "--out", str(out)]
    like = f"{pictures[0]}={','.join(f'{number:.{_DIGITS}g}' for number in answers[0])}"
    status, said = run_adopt([*arguments, "--like", like, *more])
    if status:
        assert status == 2, said
        assert not out.exists()
        return Outcome(project, None, said, None)
    (found,) = re.findall(r"^found: (.+)$", said, re.MULTILINE)
    difference = asyncio.run(largest_difference(out, project, pictures[1:], answers[1:]))
    return Outcome(project, found, said, difference)


def run_adopt(arguments: Sequence[str]) -> tuple[int, str]:
    """The exit code of `python -m app.adopt`, and what it says."""
    said = io.StringIO()
    with redirect_stderr(said):
        status = main(arguments)
    return status, said.getvalue()


async def largest_difference(
    model: Path,
    project: Project,
    pictures: Sequence[Path],
    answers: NDArray[np.float64],
) -> float:
    """How far `POST /predict` with `model` is off the author's `answers` for `pictures`, at most.

    The service runs in this process: a process for each would cost more than all that it answers.
    """
    off = 0.0
    async with client_of(create_app(read_settings(model_path=model))) as client:
        for picture, said in zip(pictures, answers, strict=True):
            answer = await client.post("/predict", content=picture.read_bytes())
            assert answer.status_code == 200, answer.text
            given = answer.json()["probabilities"]
            wanted = [1 - said[0], said[0]] if project.output == "sigmoid-one" else said
            assert tuple(given) == project.classes
            off = max(off, float(np.abs(np.array(list(given.values())) - wanted).max()))
    return off
