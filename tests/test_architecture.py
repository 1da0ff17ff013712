"""The tree is the architecture: a package shows few names, and a module is one noun."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST_NAMES = 13
MOST_LINES = 250
TOPS = {"app": 13, "training": 10, "benchmarks": 8}


def packages() -> list[Path]:
    """Every folder of the product that holds Python code, itself or below it."""
    tops = [ROOT / name for name in TOPS]
    return sorted({path.parent for top in tops for path in top.rglob("*.py")})


def names_in(folder: Path) -> list[str]:
    return sorted(
        path.name
        for path in folder.iterdir()
        if path.name not in {"__init__.py", "__pycache__"} and not path.name.startswith(".")
    )


def place(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("package", packages(), ids=place)
def test_a_package_shows_few_names(package: Path) -> None:
    most = TOPS.get(place(package), MOST_NAMES)
    names = names_in(package)

    # Recipes are a list that grows by one file for each idea that was tried.
    shown = [name for name in names if not name.endswith(".toml")]
    assert len(shown) <= most, f"{place(package)} shows {len(shown)} names: {shown}"


@pytest.mark.parametrize("package", packages(), ids=place)
def test_a_package_says_what_it_is(package: Path) -> None:
    first = (package / "__init__.py").read_text().split("\n", 1)[0]

    assert first.startswith('"""'), f"{place(package)}/__init__.py has no docstring"


@pytest.mark.parametrize("name", TOPS)
def test_a_module_ends_before_it_is_two(name: str) -> None:
    lines = {place(p): len(p.read_text().splitlines()) for p in (ROOT / name).rglob("*.py")}

    assert not {path: count for path, count in lines.items() if count > MOST_LINES}
