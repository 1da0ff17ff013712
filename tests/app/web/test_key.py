"""The API key: asked for where one is needed, checked, and used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.app.web.browsing import HEADLINE, OTHER, PICTURE, answered, choose, file_of
from tests.live import live

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.app.web.browsing import Open

KEY = "right-key"


@pytest.fixture(scope="module")
def guarded(calibrated: Path) -> Iterator[str]:
    """The address of a live server that asks for `KEY`."""
    with live(calibrated, drain_s="0", api_keys=KEY) as (client, _):
        yield str(client.base_url)


def test_a_key_is_asked_for_only_where_one_is_needed(guarded: str, open_page: Open) -> None:
    without = open_page()
    expect(without.locator("#key")).to_be_hidden()
    page = open_page(guarded)
    field = page.get_by_label("This service asks for an API key.")
    expect(field).to_be_visible()
    choose(page, file_of(PICTURE))
    expect(page.locator(HEADLINE)).to_have_text("Waiting for a key …")
    expect(page.locator("#news")).to_have_text("This service asks for an API key.")
    for wrong, words in (
        ("wrong-key", "The service does not take this key."),
        ("schlüssel", "letters, digits and signs only"),
        ("two words", "no space"),
    ):
        field.fill(wrong)
        field.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text(words)
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(field).to_be_focused()
    field.fill(KEY)
    field.press("Enter")
    answered(page)
    expect(field).to_be_hidden()
    expect(page.locator(".bars .tick")).to_have_count(3)


def test_a_key_that_cannot_be_checked_is_not_taken(guarded: str, open_page: Open) -> None:
    page = open_page(guarded)
    field = page.get_by_label("This service asks for an API key.")
    expect(field).to_be_visible()
    page.route("**/model", lambda route: route.fulfill(status=503, json={}))
    field.fill(KEY)
    field.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("cannot check it now")
    expect(field).to_have_attribute("aria-invalid", "false")
    expect(field).to_be_focused()
    page.unroute("**/model")
    field.press("Enter")
    expect(field).to_be_hidden()


def test_one_key_is_checked_at_a_time(guarded: str, open_page: Open) -> None:
    page = open_page(guarded)
    field = page.get_by_label("This service asks for an API key.")
    expect(field).to_be_visible()
    held: list[Any] = []
    page.route("**/model", lambda route: held.append(route))
    field.fill("wrong-key")
    field.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("Being checked …")
    field.fill(KEY)
    field.press("Enter")  # while the other is being checked
    assert len(held) == 1
    page.unroute("**/model")  # which lets it go on
    expect(page.get_by_role("alert")).to_contain_text("does not take this key")
    field.press("Enter")
    expect(field).to_be_hidden()


def test_where_no_key_is_needed_any_more_none_is_asked_for(
    calibrated: Path, port: int, open_page: Open
) -> None:
    with live(calibrated, port=port, drain_s="0", api_keys=KEY) as (client, _):
        page = open_page(str(client.base_url))
        field = page.get_by_label("This service asks for an API key.")
        expect(field).to_be_visible()
        choose(page, file_of(PICTURE))
    page.clock.fast_forward(10_001)
    page.locator("[data-state=unreachable]").wait_for()
    with live(calibrated, port=port, drain_s="0"):
        page.clock.fast_forward(2_001)
        answered(page)
        expect(field).to_be_hidden()


def test_a_key_that_is_taken_no_more_is_asked_for_anew(guarded: str, open_page: Open) -> None:
    """Of two uploads under way the second is refused after the new key was given."""
    page = open_page(guarded)
    held: list[Any] = []

    def answer(route: Any) -> None:
        key = route.request.headers.get("x-api-key")
        if key == KEY:
            route.continue_()
        elif held:
            route.fulfill(**refused)
        else:
            held.append(route)

    refused = {"status": 401, "json": {"type": "urn:cxr:problem:unauthorized", "title": "-"}}
    contract = {"sha256": "0" * 64, "operating_points": {}}
    page.route("**/model", lambda route: route.fulfill(json=contract))
    page.route("**/predict*", answer)
    field = page.get_by_label("This service asks for an API key.")
    field.fill("old-key")
    field.press("Enter")
    expect(field).to_be_hidden()
    choose(page, file_of(PICTURE), file_of(OTHER))
    expect(page.get_by_role("alert")).to_contain_text("does not take this key any more")
    page.unroute("**/model")
    field.fill(KEY)
    field.press("Enter")
    refused_first = page.locator(".thumbnail .label").filter(has_not_text="…")
    expect(refused_first).to_have_count(1)  # whichever of the two was sent second
    held[0].fulfill(**refused)
    answered(page)
    expect(field).to_be_hidden()
