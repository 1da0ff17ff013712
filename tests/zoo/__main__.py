"""`python -m tests.zoo --write`: projects adopted and served; the table of docs/your-model.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path


def main() -> int:
    """1 where an answer is wrong, or a project is refused that should not be."""
    # Here, so that the processes that are begun for each of them need not import it all.
    from tests.zoo.adoption import adopt_and_serve
    from tests.zoo.projects import projects
    from tests.zoo.table import PAGE, rows, write_table

    parser = argparse.ArgumentParser(prog="python -m tests.zoo", description=__doc__)
    parser.add_argument("names", nargs="*", help="projects whose name holds one of these; or all")
    parser.add_argument("--write", action="store_true", help=f"write their rows into {PAGE.name}")
    parser.add_argument("--rest", action="store_true", help="only those that have no row yet")
    flags = parser.parse_args()
    wrong = []
    there = rows(PAGE.read_text())
    for project in projects():
        is_named = any(name in project.name for name in flags.names) or not flags.names
        if not is_named or (flags.rest and project.name in there):
            continue
        start = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="cxr-zoo-") as folder:
            outcome = adopt_and_serve(project, Path(folder))
        if not (project.refused if outcome.found is None else outcome.is_right):
            wrong.append(project.name)
        if flags.write:
            write_table([outcome])
        said = outcome.found or outcome.said
        off = "refused" if outcome.difference is None else f"{outcome.difference:.1e}"
        print(f"{project.name}: {off}, {time.monotonic() - start:.0f} s: {said}", flush=True)  # noqa: T201
    print(f"wrong, or refused without need: {', '.join(wrong) or 'none'}")  # noqa: T201
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
