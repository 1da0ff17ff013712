"""`python -m app.score`: settings and flags to a finished table."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from app.inference.loading import load_classifier
from app.runtime.children import end_children, give_memory_back, leave_no_core
from app.runtime.logs import hush_pillow
from app.score.scorer import Scorer
from app.score.source import list_pictures
from app.score.table import About, ScoreTable
from app.settings import VERSION, Settings, read_settings
from app.xray.errors import CxrError, ScoringError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from app.inference.classifier import Classifier
    from app.score.scorer import Row

EXIT_OPERATOR = 2
EXIT_STOPPED = 130
_NAMED = 10
"""Of the files that are left out; the rest is counted."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Score what has no row yet; 2 where the operator must mend something, 130 where stopped."""
    parser = argparse.ArgumentParser(
        prog="python -m app.score",
        description="Score an archive of X-rays once, into a Parquet table. The same command goes "
        "on where it was stopped. CXR_ settings are those of the service.",
    )
    parser.add_argument(
        "source",
        help="a folder, a pattern, a .txt list; paths, or addresses such as s3://BUCKET/FOLDER or "
        "zip://**::FILE.zip",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.parquet")
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="have a Ray cluster do it: HOST:PORT, ray://HOST:PORT, auto, or local for a new one",
    )
    flags = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    console = Console(stderr=True, highlight=False)
    try:
        leave_no_core()
        give_memory_back()
        hush_pillow()
        settings = read_settings()
        classifier = load_classifier(settings)
        about = _about(flags.source, classifier, settings)
        left_out: list[str] = []
        with ScoreTable(flags.out, about, list_pictures(flags.source, left_out.append)) as table:
            _tell(left_out, console)
            if flags.ray:
                _score_on_ray(flags.ray, settings, about, table, console)
            else:
                asyncio.run(_score(classifier, settings, table, console))
            table.finish()
    except CxrError as error:
        console.print(f"error: {error}", markup=False, soft_wrap=True)
        return EXIT_OPERATOR
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("stopped; the same command goes on from here")
        return EXIT_STOPPED
    finally:
        end_children()
    console.print(f"{table.total:,} rows in {flags.out}", soft_wrap=True)
    return 0


def _tell(left_out: list[str], console: Console) -> None:
    """Say which files of the archive get no row."""
    if left_out:
        names = ", ".join(Path(name).name for name in left_out[:_NAMED])
        more = ", ..." if len(left_out) > _NAMED else ""
        console.print(
            f"left out: {len(left_out):,} files that are no JPEG, PNG or DICOM, or are hidden: "
            f"{names}{more}",
            markup=False,
            soft_wrap=True,
        )


async def _score(
    classifier: Classifier, settings: Settings, table: ScoreTable, console: Console
) -> None:
    task = asyncio.current_task()
    if task:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with _progress(console, table) as add:
        async with Scorer(classifier, settings) as scorer:
            async for row in scorer.score_all(table.remaining()):
                add(row)


def _score_on_ray(
    cluster: str, settings: Settings, about: About, table: ScoreTable, console: Console
) -> None:
    try:
        from app.score.actors import score_on_ray
    except ImportError as error:
        raise ScoringError(f"--ray needs the extra `ray`: {error}") from error
    with _progress(console, table) as add:
        for row in score_on_ray(cluster, settings, about, table.remaining()):
            add(row)


def _about(source: str, classifier: Classifier, settings: Settings) -> About:
    checkpoint = classifier.checkpoint
    return About(
        source=source,
        model=checkpoint.name,
        sha256=checkpoint.sha256,
        calibrated=checkpoint.contract.is_calibrated,
        classes=checkpoint.contract.classes,
        ood=settings.ood,
        engine=classifier.engine.name,
        version=VERSION,
    )


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f}/s" if speed else "")


@contextmanager
def _progress(console: Console, table: ScoreTable) -> Iterator[Callable[[Row], None]]:
    """What puts a row into `table` and moves a bar."""
    failed = 0
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TextColumn("{task.fields[failed]} without an answer"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
    )

    def add(row: Row) -> None:
        nonlocal failed
        table.add(row)
        failed += "error" in row
        progress.update(bar, advance=1, failed=failed)

    with progress:
        bar = progress.add_task("scoring", total=table.total, completed=table.done, failed=0)
        yield add


if __name__ == "__main__":
    sys.exit(main())
