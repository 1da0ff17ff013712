"""The page's advice for each type of problem, held against the service's own table of problems."""

import re
from pathlib import Path

from app.server.problems import TABLE
from app.xray import errors

WEB = Path(__file__).parents[3] / "app" / "web"
NEVER_ON_THE_PAGE = {errors.ReloadFailed, errors.ReloadUnderWay, errors.NotExplainable}
"""The page reloads no checkpoint, and asks for no heat map where there can be none."""


def keys_of(name: str, opening: str, pattern: str) -> set[str]:
    script = "\n".join(path.read_text() for path in sorted(WEB.rglob("*.js")))
    found = re.search(rf"const {name} = {re.escape(opening)}(.*?)[}}\]]\)?;", script, re.DOTALL)
    assert found, f"the page's script has no {name}"
    return set(re.findall(pattern, found[1], re.MULTILINE))


def test_every_problem_that_an_upload_can_meet_has_advice() -> None:
    kinds = {row.kind for error, row in TABLE.items() if error not in NEVER_ON_THE_PAGE}

    assert keys_of("ADVICE", "{", r'^\s*"([a-z-]+)":') == kinds


def test_what_passes_by_itself_is_what_the_service_answers_with_503() -> None:
    passing = {
        row.kind
        for error, row in TABLE.items()
        if row.status == 503 and error not in NEVER_ON_THE_PAGE
    }

    assert keys_of("PASSING", "new Set([", r'"([a-z-]+)"') == passing
