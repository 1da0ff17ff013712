"""The zoo's table, as docs/your-model.md has it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tests.live import ROOT
from tests.zoo.projects import projects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.zoo.adoption import Outcome

PAGE: Final = ROOT / "docs" / "your-model.md"
HEAD: Final = "| project | the author prepares by | output | saved by | found | off by |"
REFUSED: Final = "refused: "
_TABLE: Final = re.compile(rf"{re.escape(HEAD)}\n((?:\|.*\n)+)")
_COUNT: Final = re.compile(r"^\d+ of \d+ are adopted", re.MULTILINE)
_PATH: Final = re.compile(r"\S*/([\w.-]+\.(?:h5|hdf5|keras))")


def rows(text: str) -> dict[str, list[str]]:
    """The cells of each row of the table in a page, by the project's name."""
    (found,) = _TABLE.findall(text)
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in found.splitlines()[1:]
    ]
    return {name: rest for name, *rest in cells}


def write_table(outcomes: Sequence[Outcome]) -> None:
    """Put the rows of `outcomes`, and how many are adopted in all, into the page."""
    text = PAGE.read_text()
    kept = rows(text) | {outcome.project.name: _cells(outcome) for outcome in outcomes}
    known = [project.name for project in projects() if project.name in kept]
    ordered = sorted(known, key=lambda name: _is_refused(kept[name]))
    served = sum(not _is_refused(kept[name]) for name in ordered)
    lines = [HEAD, f"|{' --- |' * 6}", *(_line(name, kept[name]) for name in ordered)]
    text = _COUNT.sub(f"{served} of {len(ordered)} are adopted", text)
    PAGE.write_text(_TABLE.sub(lambda _: "\n".join(lines) + "\n", text))


def _line(name: str, cells: list[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


def _is_refused(cells: list[str]) -> bool:
    return cells[-2].startswith(REFUSED)


def _cells(outcome: Outcome) -> list[str]:
    project = outcome.project
    if outcome.found:
        found, off = f"`{outcome.found}`", f"{outcome.difference:.0e}"
    else:
        found, off = REFUSED + _brief(outcome.said), ""
    output = f"{project.output}, {len(project.classes)} classes"
    cells = (project.prepared_by, output, project.saved_by, found, off)
    return [cell.replace("|", "/") for cell in cells]


def _brief(said: str) -> str:
    """The refusal without the ways that it lists, and without the folder of the file."""
    refusal = said[said.index("error: ") + len("error: ") :]
    lines = [line for line in refusal.splitlines() if line and not line.startswith("  ")]
    return _PATH.sub(r"\1", " ".join(lines))
