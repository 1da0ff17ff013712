"""The audit as a person reads it: at most 20 rows of a kind, the rest is in the JSON file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from training.fingerprints import BITS
from training.giveaways import GIVEN_AWAY, IMBALANCED
from training.leaks import PATIENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from training.duplicates import SamePicture
    from training.leaks import Audit, Leak

MAX_ROWS: Final = 20
MAX_FILES: Final = 4


def print_audit(audit: Audit, console: Console) -> None:
    """What was found, the leaks last: they are what a person must see."""
    _print_classes(audit, console)
    _print_traits(audit, console)
    _print_list("Unreadable", (f"{file}: {why}" for file, why in audit.unreadable), console)
    _print_list("Too even to compare by look", audit.featureless, console)
    _print_manifest(audit, console)
    _print_pictures("One picture twice in a split", audit.duplicates_within_splits, console)
    title = "Alike across splits, not counted as leaks: look at them"
    _print_pictures(title, audit.look_alikes, console)
    _print_leaks(audit, console)


def spell_leak(leak: Leak) -> str:
    """A leak in one line of plain text."""
    why = f"patient {_spell_why(leak)}" if leak.kind == PATIENT else _spell_why(leak)
    return f"{leak.kind} ({_printable(why)}): {', '.join(_spell_files(leak.files))}"


def spell_count(count: int, noun: str) -> str:
    """`1 leak`, `2,618 leaks`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _print_classes(audit: Audit, console: Console) -> None:
    table = Table("class", *audit.counts, "format", "colour", "median size")
    for item in audit.classes:
        table.add_row(
            _plain(item.label),
            *(f"{found[item.label]:,}" for found in audit.counts.values()),
            _shares(item.formats),
            _shares(item.modes),
            f"{item.width:.0f} x {item.height:.0f}",
        )
    table.add_section()
    table.add_row(
        "largest / least",
        *(
            Text(
                "none" if item.ratio is None else f"{item.ratio:.1f}",
                style="yellow" if item.flagged else "",
            )
            for item in audit.imbalance
        ),
    )
    _print(table, f"{spell_count(audit.pictures, 'picture')} by class", console)
    if uneven := [item.split for item in audit.imbalance if item.flagged]:
        times = f"more than {IMBALANCED:.0f} times"
        _warn(f"imbalance: one class has {times} another's files in {', '.join(uneven)}", console)


def _print_traits(audit: Audit, console: Console) -> None:
    if not audit.traits:
        return
    table = Table("the class guessed from", "recognised", "by chance")
    for trait in audit.traits:
        style = "yellow" if trait.flagged else ""
        table.add_row(
            trait.name, Text(f"{trait.recognised:.0%}", style=style), f"{trait.chance:.0%}"
        )
    _print(table, "What the files give away, lungs unseen", console)
    if telling := [trait.name for trait in audit.traits if trait.flagged]:
        points = f"more than {100 * GIVEN_AWAY:.0f} points above chance"
        _warn(f"the class can be guessed, {points}, from: {', '.join(telling)}", console)


def _print_manifest(audit: Audit, console: Console) -> None:
    if audit.manifest is None:
        _warn("no manifest: patients were not compared", console)
        return
    if audit.manifest.patients is None:
        _warn(f"{audit.manifest.path}: no column patient; patients were not compared", console)
    _print_list("In the manifest, not in the folder", audit.manifest.strangers, console)
    _print_list("In the folder, not in the manifest", audit.manifest.unnamed, console)
    title = "In another split or class than the manifest says"
    _print_list(title, audit.manifest.contradicted, console)


def _print_pictures(title: str, found: Sequence[SamePicture], console: Console) -> None:
    table = Table("bits apart", "files")
    for same in found[:MAX_ROWS]:
        why = "same bytes" if same.exact else f"{same.distance} of {BITS}"
        table.add_row(why, _files(same.files))
    _print_some(table, title, len(found), console)


def _print_leaks(audit: Audit, console: Console) -> None:
    for kind in dict.fromkeys(leak.kind for leak in audit.leaks):
        found = [leak for leak in audit.leaks if leak.kind == kind]
        table = Table("patient" if kind == PATIENT else "bits apart", "files")
        for leak in found[:MAX_ROWS]:
            table.add_row(_plain(_spell_why(leak)), _files(leak.files))
        _print_some(table, f"LEAK: {kind}", len(found), console)
    style = "bold red" if audit.has_leaks else "green"
    verdict = spell_count(len(audit.leaks), "leak") if audit.has_leaks else "no leak"
    where = f"{verdict} in {spell_count(audit.pictures, 'picture')}"
    console.print(where, style=style, highlight=False)


def _print_list(title: str, lines: Iterable[str], console: Console) -> None:
    lines = list(lines)
    table = Table("file", show_header=False)
    for line in lines[:MAX_ROWS]:
        table.add_row(_plain(line))
    _print_some(table, title, len(lines), console)


def _print_some(table: Table, title: str, count: int, console: Console) -> None:
    if not count:
        return
    _print(table, f"{title} ({count:,})", console)
    if count > MAX_ROWS:
        console.print(f"... and {count - MAX_ROWS:,} more in the JSON file", highlight=False)


def _print(table: Table, title: str, console: Console) -> None:
    console.print(title, style="bold", highlight=False, soft_wrap=True)
    console.print(table)


def _warn(line: str, console: Console) -> None:
    console.print(line, style="yellow", highlight=False, markup=False, soft_wrap=True)


def _spell_why(leak: Leak) -> str:
    if leak.kind == PATIENT:
        return " ".join(part for part in (leak.source, leak.patient) if part)
    return "same bytes" if leak.exact else f"{leak.distance} of {BITS}"


def _spell_files(files: Sequence[str]) -> list[str]:
    """The first few, one of each split and class before a second of any."""
    folders = {file.rsplit("/", 1)[0]: file for file in reversed(files)}
    first = sorted(files, key=lambda file: file not in folders.values())[:MAX_FILES]
    more = [f"... and {len(files) - MAX_FILES:,} more"] if len(files) > MAX_FILES else []
    return [*(_printable(file) for file in first), *more]


def _files(files: Sequence[str]) -> Text:
    return Text("\n".join(_spell_files(files)), overflow="fold")


def _shares(counts: dict[str, int]) -> Text:
    total = sum(counts.values())
    return Text("\n".join(f"{name} {count / total:.0%}" for name, count in counts.items()))


def _plain(words: str) -> Text:
    """A cell that shows brackets as brackets and is folded rather than cut."""
    return Text(_printable(words), overflow="fold")


def _printable(words: str) -> str:
    """A file's name may hold what a terminal obeys or an encoder refuses."""
    return words if words.isprintable() else ascii(words)
