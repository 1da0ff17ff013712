"""`python -m benchmarks.costs.own_pictures`: how many a hospital needs to calibrate on its own.

A labelled split of another hospital is answered once. From its answers some are drawn as that
hospital's own sample, temperature and operating points are fitted on them as `calibrate` does, and
the rest is judged by these and by those that the checkpoint brings; many times over.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from rich.console import Console

from training.commands.judge import Judge
from training.data.manifest import sources_of
from training.evaluation.calibrate import SENSITIVITY, fit_answers
from training.evaluation.sample import OWN, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from app.xray.contract import ModelContract

COUNTS: Final = (10, 20, 40, 80, 160)
LEFT_TO_JUDGE: Final = 30
"""So many pictures of each class remain at least, of which a share of 95 % can be told."""


@dataclass(frozen=True)
class Sets:
    """What prediction sets are worth on the rest, by draw: float64 (draws,) each.

    `coverage` is the share that holds the truth, `lowest` that of the class where it is least,
    `size` the mean number of classes in a set, `miss` how far the classes' coverages lie from
    `SENSITIVITY`, on average; classes count the same.
    """

    coverage: NDArray[np.float64]
    lowest: NDArray[np.float64]
    size: NDArray[np.float64]
    miss: NDArray[np.float64]


def main() -> None:
    """Answer the split once, draw from it, and print a table in Markdown."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.costs.own_pictures", description=__doc__
    )
    parser.add_argument("--model", type=Path, required=True, metavar="FILE")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--split", default="unseen", help="(unseen)")
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS, metavar="N")
    parser.add_argument("--draws", type=int, default=500, help="of each number of pictures (500)")
    parser.add_argument("--seed", type=int, default=21)
    options = parser.parse_args()
    console = Console(width=200)
    judge = Judge(options.model, options.data, [options.split], console)
    split = judge.dataset.splits[options.split]
    sample = Sample.of_split(
        split.labels, judge.answers(options.split).raw, sources_of(split.files, judge.sources), OWN
    )
    for line in tell(
        sample, judge.checkpoint.contract, options.counts, options.draws, options.seed
    ):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def tell(
    sample: Sample, contract: ModelContract, counts: Sequence[int], draws: int, seed: int
) -> Iterator[str]:
    """The table, a line at a time, and from how many pictures of each class on its own is better.

    Better is what misses `SENSITIVITY` by less in most draws, with this and with every larger
    number.
    """
    present = ", ".join(
        f"{count} of {contract.classes[label]}"
        for label, count in enumerate(np.bincount(sample.labels)) if count
    )  # fmt: skip
    yield f"{len(sample.labels)} pictures, {present}; {draws} draws"
    yield (
        "| own pictures a class | points | coverage (5 % to 95 % of draws) | of the worst class "
        "| classes in a set | off 95 % by | own is nearer |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    nearer: dict[int, float] = {}
    for count in counts:
        if np.bincount(sample.labels)[np.unique(sample.labels)].min() < count + LEFT_TO_JUDGE:
            yield f"| {count} | too few: {LEFT_TO_JUDGE} of each class are to be left | | | | | |"
            continue
        own, general = compare(sample, contract, count, draws, seed)
        nearer[count] = float((own.miss < general.miss).mean())
        yield _row(f"{count}", "own", own, f"{nearer[count]:.0%}")
        yield _row("", "as the file has them", general, "")
    better = [
        count for count in nearer if all(nearer[more] > 0.5 for more in nearer if more >= count)
    ]
    yield (
        f"better in most draws from {min(better)} pictures of each class on"
        if better
        else "not better in most draws with any of these numbers"
    )


def compare(
    sample: Sample, contract: ModelContract, count: int, draws: int, seed: int
) -> tuple[Sets, Sets]:
    """What is worth on the rest what is fitted on `count` of each class, and what `contract` has.

    A class that `sample` has no picture of keeps the operating point of `contract`.
    """
    rng = np.random.default_rng((seed, count))
    own, general = [], []
    for _ in range(draws):
        drawn = np.zeros(len(sample.labels), np.bool_)
        for label in np.unique(sample.labels):
            drawn[rng.choice(np.flatnonzero(sample.labels == label), count, replace=False)] = True
        fitted = fit_answers(contract, sample.choose(drawn))
        points = {**contract.operating_points, **fitted.operating_points}
        fitted = fitted.model_copy(update={"operating_points": points})
        rest = sample.choose(~drawn)
        own.append(_judge(rest, fitted))
        general.append(_judge(rest, contract))
    return Sets(*np.array(own).T), Sets(*np.array(general).T)


def _judge(sample: Sample, contract: ModelContract) -> tuple[float, float, float, float]:
    sets = contract.prediction_sets(contract.calibrate(sample.raw))
    holds = sets[np.arange(len(sets)), sample.labels]
    labels = np.unique(sample.labels)
    held = np.array([holds[sample.labels == label].mean() for label in labels])
    sizes = [sets[sample.labels == label].sum(axis=1).mean() for label in labels]
    off = np.abs(held - SENSITIVITY).mean()
    return float(held.mean()), float(held.min()), float(np.mean(sizes)), float(off)


def _row(count: str, name: str, sets: Sets, nearer: str) -> str:
    low, high = np.quantile(sets.coverage, [0.05, 0.95])
    return (
        f"| {count} | {name} | {sets.coverage.mean():.3f} ({low:.3f} to {high:.3f}) "
        f"| {sets.lowest.mean():.3f} | {sets.size.mean():.2f} | {sets.miss.mean():.3f} | {nearer} |"
    )


if __name__ == "__main__":
    main()
