"""What the commands print: progress while files are read, tables when figures are known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

from rich.padding import Padding
from rich.progress import track as rich_track
from rich.table import Table as RichTable
from rich.text import Text

from app.xray.errors import DatasetError
from app.xray.gate import OutlineGate
from training.evaluation.sample import OWN
from training.report.document import Caution, Table, printable
from training.report.words.audit import (
    describe_leaks,
    describe_oddities,
    spell_count,
    spell_leak,
    spell_verdict,
)
from training.report.words.calibration import ADVICE, spell_ground
from training.report.words.examination import sections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rich.console import Console

    from app.xray.contract import ModelContract
    from app.xray.gate import Gate
    from training.data.audit.audit import Audit
    from training.data.dataset import Dataset
    from training.data.leaving_out import LeftOut
    from training.evaluation.examine import Examination
    from training.evaluation.sample import Found
    from training.recipes.config import FitConfig
    from training.recipes.trials import Trial
    from training.report.document import Block, Section

Item = TypeVar("Item")

_LEAKS_NAMED: Final = 3
"""So many leaks a refusal spells out."""
_FIGURE: Final = len("0.000")
_NAME: Final = 24
"""So wide a first column stays whole on a terminal of 80 columns."""


def track(console: Console, description: str) -> Callable[[Iterable[Item], int], Iterable[Item]]:
    """A progress bar over what is read or run, item by item."""
    return lambda items, total: rich_track(
        items,
        description,
        total=total,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def report_skipped(dataset: Dataset, console: Console) -> None:
    """Name every picture that was left out, and why."""
    for file, reason in dataset.skipped:
        console.print(
            f"skipped {printable(file)}: {reason}",
            style="yellow",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def report_left_out(left_out: LeftOut, console: Console) -> None:
    """Say which sources a run is not to know, and how many pictures of train and val that takes."""
    if left_out.names:
        count = spell_count(len(left_out.files), "picture")
        console.print(
            f"left out of train and val: {', '.join(left_out.names)} ({count}); the checkpoint is "
            "to calibrate another by, not to be served",
            style="yellow", highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip


def report_caveats(sentences: Iterable[str], console: Console) -> None:
    """Say what the data are too few for."""
    for sentence in sentences:
        console.print(sentence, style="yellow", highlight=False, markup=False, soft_wrap=True)


def print_sets(
    found: Found, before: ModelContract, contract: ModelContract, console: Console
) -> None:
    """What prediction sets come to, by source and class, and what they did by the old points."""
    sample, asked = found.sample, contract.calibrated_on
    if asked is None or found.coverage is None:
        console.print("too few pictures to tell how many sets hold the truth", style="yellow")
    else:
        as_it_was = before.prediction_sets(before.calibrate(sample.raw))
        was = replace(found, sets=as_it_was)
        console.print(
            f"sets hold the truth in {found.coverage:.1%} ({asked.coverage_asked:.0%} asked), with "
            f"{found.size:.2f} classes; as it was: {was.coverage:.1%}, {was.size:.2f}. "
            f"{spell_ground(contract)}",
            highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
        rows = tuple(
            (f"{source} / {contract.classes[label]}", f"{count:,}", *(f"{x:.3f}" for x in figures))
            for source, label, count, *figures in found.pairs()
        )
        if rows:
            head = (
                "pictures of", "number", "recognised", "sets with the truth", "classes in a set",
            )  # fmt: skip
            console.print(_table(Table(head, rows)))
    if not asked or asked.split != OWN:
        console.print(ADVICE, highlight=False, markup=False, soft_wrap=True)


def print_examination(examination: Examination, console: Console) -> None:
    """All that was found, section by section."""
    print_sections(sections(examination), console)


def print_sections(said: Iterable[Section], console: Console) -> None:
    """A rule with the title of each, then its words and tables."""
    for section in said:
        console.rule(Text(section.title), align="left")
        for block in section.blocks:
            _print(block, console)


def refuse_leaks(audit: Audit, config: FitConfig, console: Console) -> None:
    """End before anything is trained where the audit found a leak, or warn if leaks are allowed.

    Raises:
        DatasetError: there are leaks, and `config.allow_leaks` is not set; names the first.
    """
    if config.allow_leaks and audit.has_leaks:
        print_audit(audit, console)
    elif audit.has_leaks:
        first = "; ".join(spell_leak(leak) for leak in audit.leaks[:_LEAKS_NAMED])
        raise DatasetError(
            f"{config.data}: {spell_count(len(audit.leaks), 'leak')}: {first}. "
            f"`python -m training check --data {config.data}` names all; "
            "--allow-leaks trains all the same"
        )
    else:
        console.print(f"no leak in {spell_count(audit.pictures, 'picture')}", highlight=False)


def print_audit(audit: Audit, console: Console) -> None:
    """What was found, the leaks last: they are what a person must see."""
    for block in (*describe_oddities(audit), *describe_leaks(audit)):
        _print(block, console)
    style = "bold red" if audit.has_leaks else "green"
    console.print(spell_verdict(audit), style=style, highlight=False)


def print_gate(gate: Gate, console: Console) -> None:
    """What a gate refuses of val, of sources that it was fitted without, and of strangers."""
    lines = [f"gate: threshold {gate.threshold:.3f}, refuses {gate.refused_on_val:.1%} of val"]
    if isinstance(gate, OutlineGate):
        films = {f"films of {name}": found for name, found in gate.refused_elsewhere.items()}
        lines += [
            f"gate, fitted without them: refuses {found.refused:.1%} of {found.pictures} {kind}"
            for kind, found in {**films, **gate.refused_strangers}.items()
        ]
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def print_trials(recipes: Mapping[str, Mapping[str, Trial]], console: Console) -> None:
    """A table for all that were tried on val, and one for each set of sources held out."""
    for key in sorted({key for trials in recipes.values() for key in trials}):
        tried = {name: trials[key] for name, trials in recipes.items() if key in trials}
        names = sorted(tried, key=lambda name: -tried[name].mean)
        trials = [tried[name] for name in names]
        pairs = sorted({pair for trial in trials for pair in trial.recalls})
        rows = (
            ("recall, mean over source and class", *(f"{trial.mean:.3f}" for trial in trials)),
            *(
                (f"recall of {pair}", *(_figure(trial.recalls.get(pair)) for trial in trials))
                for pair in pairs
            ),
            ("accuracy", *(f"{trial.accuracy:.3f}" for trial in trials)),
            ("macro AUROC", *(f"{trial.macro_auroc:.3f}" for trial in trials)),
            ("minutes", *(f"{trial.minutes:.1f}" for trial in trials)),
        )
        title = "judged on val" if key == "val" else f"trained without, and judged on, {key}"
        console.rule(Text(title), align="left")
        console.print(_table(Table(("figure", *names), rows)))


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _print(block: Block, console: Console) -> None:
    """A block; of pictures nothing is told."""
    if isinstance(block, str):
        console.print(Padding(_weigh(block), (0, 0, 1, 0)), highlight=False)
    elif isinstance(block, Table):
        if block.title:
            console.print(block.title, style="bold", highlight=False, soft_wrap=True)
        console.print(_table(block))
        if block.left_out:
            console.print(f"... and {block.left_out:,} more in the JSON file", highlight=False)
    elif isinstance(block, Caution):
        console.print(block.words, style="yellow", highlight=False, markup=False, soft_wrap=True)


def _weigh(sentence: str) -> Text:
    """`**words**` in bold."""
    pieces = sentence.split("**")
    return Text.assemble(
        *((piece, "bold" if place % 2 else "") for place, piece in enumerate(pieces))
    )


def _table(found: Table) -> RichTable:
    """No name is cut short, no figure split; brackets are shown as brackets.

    An interval stands below its figure. A table with a title is an audit's, and what stands in
    parentheses there is part of a file's name.
    """
    table = RichTable(show_header=len(found.head) > 1)
    longest = max((len(row[0]) for row in found.rows), default=0)
    for column, cell in enumerate(found.head):
        least = _FIGURE if column else min(longest, _NAME)
        table.add_column(Text(cell), overflow="fold", min_width=None if found.title else least)
    for index, row in enumerate([*found.rows, found.foot] if found.foot else found.rows):
        if index == len(found.rows):
            table.add_section()
        table.add_row(
            *(
                Text(
                    cell if found.title else cell.replace(" (", "\n("),
                    style="yellow" if (index, column) in found.flagged else "",
                    overflow="fold",
                )
                for column, cell in enumerate(row)
            )
        )
    return table
