from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="package", autouse=True)
def no_ink() -> Iterator[None]:
    """Drawing takes half of a run, and the tests of `report` are about the pictures."""

    def savefig(_: Figure, file: Any, **__: Any) -> None:
        if isinstance(file, Path):
            file.touch()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", savefig)
        yield
