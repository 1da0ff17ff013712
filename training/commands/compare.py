"""`compare`: runs side by side on the pictures that all were judged on, in pairs."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydantic import ValidationError

from app.xray.contract import ModelContract
from app.xray.errors import TrainingError
from training.data.manifest import read_sources, sources_of

if TYPE_CHECKING:
    import argparse

    from rich.console import Console

    from training.evaluation.evaluate import Evaluation

HELP: Final = "runs side by side: one page, differences in pairs"
FEWEST: Final = 2


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `compare`."""
    parser.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN",
        help="that fit, or evaluate --out, wrote; others are held against the first",
    )  # fmt: skip
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="whose manifest names sources (the first run's)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="(compare.html)", default=Path("compare.html")
    )


def run(options: argparse.Namespace, console: Console) -> None:
    """Compare, print, and write the page.

    Nothing is run again: it is the answers in each folder's `predictions.csv` that are compared.

    Raises:
        DatasetError: the manifest is not one.
        TrainingError: a folder is no run, the runs were not judged on the same pictures, or the
            page cannot be written.
    """
    names = _names(options.runs)
    if options.out.suffix != ".html":
        raise TrainingError(f"--out: expected a name that ends in .html, not {options.out}")
    settings = {name: _read_settings(folder) for name, folder in names.items()}
    data = options.data or next(iter(settings.values())).get("data")
    sources = read_sources(Path(data)) if data else {}
    found = {name: read_answers(folder, sources) for name, folder in names.items()}

    from training.report.page import write_page
    from training.report.terminal import print_sections
    from training.report.words.comparison import compare_runs
    from training.report.words.settings import describe_settings

    said = compare_runs(found)
    if all(settings.values()):
        said.append(describe_settings(settings))
    print_sections(said, console)
    pictures = len(next(iter(found.values())).files)
    write_page(options.out, ", ".join(names), said, pictures)
    console.print(f"written to {options.out}", highlight=False, markup=False, soft_wrap=True)


def read_answers(folder: Path, sources: dict[str, str]) -> Evaluation:
    """What a run answered, from its `predictions.csv`; `sources` as of `evaluate`.

    Raises:
        TrainingError: the file is not there, or is not what a run writes.
    """
    from training.evaluation.evaluate import Evaluation

    path = folder / "predictions.csv"
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            head, *rows = csv.reader(file)
        if head[:2] != ["file", "truth"] or not rows:
            raise TrainingError(f"{path}: expected answers, as fit writes them")
        classes = tuple(head[2:])
        files = tuple(row[0] for row in rows)
        return Evaluation(
            contract=ModelContract.recipe_of_2022(classes),  # the answers are calibrated already
            files=files,
            labels=np.array([classes.index(row[1]) for row in rows]),
            raw=np.array([[float(cell) for cell in row[2:]] for row in rows]),
            sources=sources_of(files, sources),
        )
    except (OSError, csv.Error, ValueError, IndexError, ValidationError) as error:
        raise TrainingError(f"{path}: expected what fit writes: {error}") from error


def _names(folders: list[Path]) -> dict[str, Path]:
    """Each run's folder by its shortest path that no other has."""
    if len(folders) < FEWEST:
        raise TrainingError("compare: expected two runs or more")
    whole = [folder.resolve() for folder in folders]
    if len(set(whole)) < len(whole):
        raise TrainingError("compare: one run is named twice")
    if len({folder.name for folder in whole}) == len(whole):
        return dict(zip((folder.name for folder in whole), folders, strict=True))
    return {str(folder): folder for folder in folders}


def _read_settings(folder: Path) -> dict[str, Any]:
    """Those of the run; {} of a folder that evaluate wrote."""
    path = folder / "config.json"
    if not path.exists():
        return {}
    try:
        settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["settings"]
        return dict(settings)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{path}: expected the config.json that fit writes: {error}") from error
