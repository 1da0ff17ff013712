"""In what the settings of several runs differ."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from training.report.document import Section, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

_ELSEWHERE: Final = frozenset({"out", "data"})
"""Where a run lies says nothing of what it is worth."""


def describe_settings(runs: Mapping[str, Mapping[str, Any]]) -> Section:
    """A table of those settings, of `config.json`, that are not the same in all `runs`."""
    flat = {name: _flatten(settings) for name, settings in runs.items()}
    names = dict.fromkeys(setting for found in flat.values() for setting in found)
    rows = [
        (setting, *(found.get(setting, "") for found in flat.values()))
        for setting in names
        if setting not in _ELSEWHERE and len({found.get(setting) for found in flat.values()}) > 1
    ]
    if not rows:
        return Section("settings", "Settings", ("The runs were told the same.",))
    return Section("settings", "Settings that differ", (Table(("setting", *flat), tuple(rows)),))


def _flatten(settings: Mapping[str, Any], above: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            found |= _flatten(value, f"{above}{name}.")
        else:
            found[above + name] = value if isinstance(value, str) else json.dumps(value)
    return found
