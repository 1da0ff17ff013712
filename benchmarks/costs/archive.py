"""`python -m benchmarks.costs.archive DIR`: `app.score` beside decoding and the model alone."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from app.inference.loading import load_classifier
from app.score.scorer import Scorer
from app.score.source import list_pictures
from app.score.table import About, ScoreTable
from app.settings import read_settings
from benchmarks.compare.floor import Floor
from benchmarks.report import Report


def main() -> None:
    """Measure in turn, and print one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.costs.archive", description=__doc__)
    parser.add_argument("folder", help="JPEG and PNG pictures")
    parser.add_argument("--pictures", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    settings = read_settings()
    classifier = load_classifier(settings)
    floor = Floor(classifier)
    addresses = list(list_pictures(options.folder))
    addresses = addresses[:: max(1, len(addresses) // options.pictures)]
    files = [Path(address) for address in addresses]
    about = About("", "", "", True, classifier.contract.classes, "", "", "")

    async def fill(table: ScoreTable) -> None:
        async with Scorer(classifier, settings) as scorer:
            async for row in scorer.score_all(table.remaining()):
                table.add(row)

    def ours() -> float:
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            with ScoreTable(Path(folder) / "scores.parquet", about, addresses) as table:
                asyncio.run(fill(table))
                table.finish()
            return len(addresses) / (time.perf_counter() - start)

    rates, ratios = [], []
    floor.pictures_per_s(files[:100])
    for _ in range(options.rounds):
        limit, rate = floor.pictures_per_s(files), ours()
        rates.append(rate)
        ratios.append(rate / limit)
    report = Report("archive", f"{len(files)} pictures, medians of {options.rounds} rounds.")
    report.add_table(
        ("pictures a second", "of decoding and the model alone", "least", "most"),
        [(statistics.median(rates), statistics.median(ratios), min(ratios), max(ratios))],
    )
    report.conclude()


if __name__ == "__main__":
    main()
