"""Programs that no package index has: tests that want one skip where it is absent."""

from __future__ import annotations

import os
import shutil

import pytest


def find_tool(name: str) -> str:
    """Where the program `name` is; TOOLS_REQUIRED=1 makes a failure of a skip."""
    path = shutil.which(name)
    if path is None:
        assert not os.environ.get("TOOLS_REQUIRED"), f"no {name}"
        pytest.skip(f"no {name}")
    return path
