"""A part of the zoo, adopted and served; `python -m tests.zoo` goes through all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.zoo.adoption import adopt_and_serve
from tests.zoo.projects import projects

if TYPE_CHECKING:
    from pathlib import Path

    from tests.zoo.projects import Project

PART = (
    "CNN 64 one sigmoid",  # ImageDataGenerator 1/255
    "VGG16 caffe and 1/255",  # preprocess_input
    "TensorFlow tutorial",  # Rescaling inside, a .keras file
    "Teachable Machine",
    "CNN gray 150 one sigmoid",  # OpenCV
    "CNN multi-label",
    "CNN after CLAHE",
    "CNN with a Lambda layer",
    "CNN saturated",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of all projects, which have files of their own, but the same pictures."""
    return tmp_path_factory.mktemp("zoo")


@pytest.mark.parametrize(
    "project", [pytest.param(each, id=each.name) for each in projects() if each.name in PART]
)
def test_a_project_is_served_right_or_refused(project: Project, folder: Path) -> None:
    outcome = adopt_and_serve(project, folder)

    if project.refused is None:
        assert outcome.is_right, outcome.said
    else:
        assert outcome.found is None, "it was adopted, and perhaps wrongly"
        assert project.refused in outcome.said


def test_the_part_is_of_the_zoo() -> None:
    assert set(PART) <= {project.name for project in projects()}
