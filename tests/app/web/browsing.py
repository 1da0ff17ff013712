"""A person at the page: what is chosen, and what the service is made to answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from playwright.sync_api import expect

from benchmarks.rig.corpus.dicoms import write_dicom
from benchmarks.rig.corpus.drawing import draw_radiograph, encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    Open = Callable[..., Page]

PICTURE = encode(draw_radiograph(), "JPEG")
OTHER = encode(draw_radiograph(5, (200, 400)))
DICOM = write_dicom(np.asarray(draw_radiograph(size=(400, 300))))
CLASSES = ["COVID", "NORMAL", "PNEUMONIA"]
HEADLINE = "#answer .card h2"


def file_of(data: bytes, name: str = "DOE^JANE.jpg") -> Any:
    return {"name": name, "mimeType": "", "buffer": data}


def choose(page: Page, *files: Any) -> None:
    page.locator("#files").set_input_files(list(files))


def answered(page: Page) -> None:
    expect(page.locator("#answer .answer")).to_be_visible()


def change_answers(page: Page, **change: Any) -> None:
    """Let the answers to this page have these values instead of the service's."""
    edit_answers(page, lambda body: body.update(change))


def edit_answers(page: Page, edit: Callable[[Any], object]) -> None:
    """Let what the service answers be edited before the page has it."""

    def answer(route: Any) -> None:
        reply = route.fetch()
        body = reply.json()
        edit(body)
        route.fulfill(response=reply, json=body)

    page.route("**/predict*", answer)


def change_contract(page: Page, **change: Any) -> None:
    """Let the model of this page have this in its contract, and open the page anew."""

    def answer(route: Any) -> None:
        reply = route.fetch()
        route.fulfill(response=reply, json={**reply.json(), **change})

    page.route("**/model", answer)
    with page.expect_response("**/model"):
        page.reload()


def answer_first(page: Page, count: int, **reply: Any) -> None:
    """Let the first `count` uploads get this reply, all others the service's."""
    left = iter(range(count))

    def answer(route: Any) -> None:
        route.continue_() if next(left, None) is None else route.fulfill(**reply)

    page.route("**/predict*", answer)


def refuse(page: Page, count: int, status: int, kind: str | None, title: str) -> None:
    """Let the first `count` uploads be refused."""
    problem = {"type": f"urn:cxr:problem:{kind}", "title": title, "status": status, "detail": "-"}
    answer_first(page, count, status=status, json=problem, headers={"Retry-After": "1"})


def say(page: Page, status: str, reason: str | None = None) -> None:
    """Let the service say that it is in another state, at once."""
    page.route(
        "**/health",
        lambda route: route.fulfill(status=503, json={"status": status, "reason": reason}),
    )
    page.clock.fast_forward(10_001)
