"""What an audit found, in words and tables: said once, for the report and the terminal.

At most 20 rows of a kind; the rest is in the JSON file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from training.data.audit.fingerprints import BITS
from training.data.audit.giveaways import GIVEN_AWAY, IMBALANCED
from training.data.audit.leaks import CROP, CROP_LABELS, PATIENT
from training.report.document import Caution, Section, Table, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from training.data.audit.audit import Audit
    from training.data.audit.duplicates import SamePicture
    from training.data.audit.leaks import Leak

MAX_ROWS: Final = 20
MAX_FILES: Final = 4
_HEADS: Final = {PATIENT: "patient", CROP: "middle", CROP_LABELS: "middle"}


def describe_audit(audit: Audit) -> Section:
    """All that was found, the leaks first."""
    verdict = f"**{spell_verdict(audit).capitalize()}.**"
    return Section(
        "audit",
        "The data",
        (
            Caution(verdict) if audit.has_leaks else verdict,
            *describe_leaks(audit),
            *describe_oddities(audit),
        ),
    )


def describe_oddities(audit: Audit) -> list[Table | Caution]:
    """All that was found but the leaks: the files by class first, then what is odd about them."""
    unreadable = [f"{file}: {why}" for file, why in audit.unreadable]
    alike = "Alike across splits, not counted as leaks: look at them"
    return [
        *_classes(audit),
        *_traits(audit),
        *_list("Unreadable", unreadable),
        *_list("Too even to compare by look", audit.featureless),
        *_manifest(audit),
        *_pictures("One picture twice in a split", audit.duplicates_within_splits),
        *_pictures(alike, audit.look_alikes),
    ]


def describe_leaks(audit: Audit) -> list[Table]:
    """The leaks, kind by kind."""
    found = []
    for kind in dict.fromkeys(leak.kind for leak in audit.leaks):
        leaks = [leak for leak in audit.leaks if leak.kind == kind]
        head = (_HEADS.get(kind, "bits apart"), "files")
        rows = [(printable(_why(leak)), _files(leak.files)) for leak in leaks[:MAX_ROWS]]
        found.append(_some(f"LEAK: {kind}", head, rows, len(leaks)))
    return found


def spell_verdict(audit: Audit) -> str:
    """`no leak in 2,618 pictures`."""
    verdict = spell_count(len(audit.leaks), "leak") if audit.has_leaks else "no leak"
    return f"{verdict} in {spell_count(audit.pictures, 'picture')}"


def spell_leak(leak: Leak) -> str:
    """A leak in one line of plain text."""
    why = f"patient {_why(leak)}" if leak.kind == PATIENT else _why(leak)
    return f"{leak.kind} ({printable(why)}): {', '.join(_first_files(leak.files))}"


def spell_count(count: int, noun: str) -> str:
    """`1 leak`, `2,618 leaks`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _classes(audit: Audit) -> Iterator[Table | Caution]:
    rows = tuple(
        (
            printable(item.label),
            *(f"{found[item.label]:,}" for found in audit.counts.values()),
            _shares(item.formats),
            _shares(item.modes),
            f"{item.width:.0f} x {item.height:.0f}",
        )
        for item in audit.classes
    )
    weighed = {item.split: item.ratio for item in audit.imbalance}
    ratios = [_ratio(weighed[split]) if split in weighed else "" for split in audit.counts]
    yield Table(
        ("class", *audit.counts, "format", "colour", "median size"),
        rows,
        title=f"{spell_count(audit.pictures, 'picture')} by class",
        foot=("largest / least", *ratios, "", "", ""),
        flagged=frozenset(
            (len(rows), column)
            for column, item in enumerate(audit.imbalance, start=1)
            if item.flagged
        ),
    )
    if uneven := [item.split for item in audit.imbalance if item.flagged]:
        times = f"more than {IMBALANCED:.0f} times"
        yield Caution(f"imbalance: one class has {times} another's files in {', '.join(uneven)}")


def _ratio(ratio: float | None) -> str:
    return "none" if ratio is None else f"{ratio:.1f}"


def _traits(audit: Audit) -> Iterator[Table | Caution]:
    if not audit.traits:
        return
    yield Table(
        ("the class guessed from", "recognised", "by chance"),
        tuple((item.name, f"{item.recognised:.0%}", f"{item.chance:.0%}") for item in audit.traits),
        title="What the files give away, lungs unseen",
        flagged=frozenset((row, 1) for row, item in enumerate(audit.traits) if item.flagged),
    )
    if telling := [item.name for item in audit.traits if item.flagged]:
        points = f"more than {100 * GIVEN_AWAY:.0f} points above chance"
        yield Caution(f"the class can be guessed, {points}, from: {', '.join(telling)}")


def _manifest(audit: Audit) -> Iterator[Table | Caution]:
    manifest = audit.manifest
    if manifest is None:
        yield Caution(f"no manifest: {_by_name(audit)}")
        return
    if manifest.patients is None:
        why = f"names no patient; {_by_name(audit)}"
        yield Caution(f"{printable(manifest.path)}: {why}")
    yield from _list("In the manifest, not in the folder", manifest.strangers)
    yield from _list("In the folder, not in the manifest", manifest.unnamed)
    yield from _list("In another split or class than the manifest says", manifest.contradicted)
    yield from _list("Sources of unseen that another split has too", manifest.known_sources)


def _by_name(audit: Audit) -> str:
    if audit.patients_by_name:
        return f"{spell_count(audit.patients_by_name, 'patient')} were told by file names"
    return "patients were not compared"


def _pictures(title: str, found: Sequence[SamePicture]) -> Iterator[Table]:
    if found:
        rows = [
            ("same bytes" if same.exact else f"{same.distance} of {BITS}", _files(same.files))
            for same in found[:MAX_ROWS]
        ]
        yield _some(title, ("bits apart", "files"), rows, len(found))


def _list(title: str, lines: Sequence[str]) -> Iterator[Table]:
    if lines:
        yield _some(title, ("file",), [(printable(line),) for line in lines[:MAX_ROWS]], len(lines))


def _some(title: str, head: tuple[str, ...], rows: Iterable[tuple[str, ...]], count: int) -> Table:
    shown = tuple(rows)
    return Table(head, shown, title=f"{title} ({count:,})", left_out=count - len(shown))


def _why(leak: Leak) -> str:
    if leak.kind == PATIENT:
        return " ".join(part for part in (leak.source, leak.patient) if part)
    if leak.agreement is not None:
        return f"agrees by {leak.agreement:.2f}"
    return "same bytes" if leak.exact else f"{leak.distance} of {BITS}"


def _files(files: Sequence[str]) -> str:
    return "\n".join(_first_files(files))


def _first_files(files: Sequence[str]) -> list[str]:
    """The first few, one of each split and class before a second of any."""
    folders = {file.rsplit("/", 1)[0]: file for file in reversed(files)}
    first = sorted(files, key=lambda file: file not in folders.values())[:MAX_FILES]
    more = [f"... and {len(files) - MAX_FILES:,} more"] if len(files) > MAX_FILES else []
    return [*(printable(file) for file in first), *more]


def _shares(counts: dict[str, int]) -> str:
    total = sum(counts.values())
    return "\n".join(f"{name} {count / total:.0%}" for name, count in counts.items())
