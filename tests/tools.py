"""Programs that no package index has: tests that want one skip where it is absent."""

from __future__ import annotations

import os
import shutil

import pytest


def find_tool(*names: str) -> str:
    """Where the first of these programs is that is there.

    TOOLS_REQUIRED=1 makes a failure of a skip.
    """
    for path in map(shutil.which, names):
        if path is not None:
            return path
    absent = f"no {' or '.join(names)}"
    assert not os.environ.get("TOOLS_REQUIRED"), absent
    pytest.skip(absent)
