"""What is refused before the routes, held against the routes."""

from fastapi import FastAPI

from app.server.middleware.shedding import UPLOADS
from tests.app.fakes import fake_app, fake_classifier

NAMES = {"name": "best_model", "version": "1"}


def paths_of(app: FastAPI, method: str) -> set[str]:
    paths = app.openapi()["paths"].items()
    return {path.format_map(NAMES) for path, methods in paths if method in methods}


def test_every_route_that_takes_an_upload_is_shed_and_no_other() -> None:
    app = fake_app(lambda _: fake_classifier(), admin_key="k" * 32)

    shed = {path for path in paths_of(app, "post") if UPLOADS.fullmatch(path)}

    assert paths_of(app, "post") - shed == {"/admin/reload"}
    assert len(shed) == 5


def test_no_path_that_is_only_read_is_shed() -> None:
    app = fake_app(lambda _: fake_classifier())

    assert "/model" in paths_of(app, "get")
    assert not [path for path in paths_of(app, "get") if UPLOADS.fullmatch(path)]
