"""What the browser fetches, and what it shows where no script runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from tests.app.web.browsing import Open


def test_without_javascript_the_page_says_so(open_page: Open) -> None:
    page = open_page(until="", java_script_enabled=False)
    expect(page.get_by_text("This page needs JavaScript")).to_be_visible()
    expect(page.locator("#add")).to_be_hidden()


def test_with_javascript_nothing_is_said_of_it(open_page: Open) -> None:
    page = open_page()
    expect(page.get_by_text("This page needs JavaScript")).to_have_count(0)


def test_the_page_comes_in_three_requests_and_fifty_kilobytes_at_most(open_page: Open) -> None:
    page = open_page(until="")
    sizes: dict[str, int] = {}
    page.on("response", lambda r: sizes.update({r.url: sum(r.request.sizes().values())}))
    page.goto(page.url)
    page.locator("[data-state=ready]").wait_for()
    own = {url: size for url, size in sizes.items() if not url.endswith(("/health", "/model"))}
    assert sorted(url.rsplit("/", 1)[1] for url in own) == ["", "app.css", "app.js"]
    assert sum(own.values()) < 50_000
