"""What the browser fetches, and what it shows where no script runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Response

    from tests.app.web.browsing import Open


WEB = Path(__file__).parents[3] / "app" / "web"


def test_without_javascript_the_page_says_so(open_page: Open) -> None:
    page = open_page(until="", java_script_enabled=False)
    expect(page.get_by_text("This page needs JavaScript")).to_be_visible()
    expect(page.locator("#add")).to_be_hidden()


def test_with_javascript_nothing_is_said_of_it(open_page: Open) -> None:
    page = open_page()
    expect(page.get_by_text("This page needs JavaScript")).to_have_count(0)


def test_the_page_comes_in_one_request_a_file_and_fifty_kilobytes_at_most(open_page: Open) -> None:
    page = open_page(until="")
    sizes: list[tuple[str, int]] = []

    def note(response: Response) -> None:
        path = urlsplit(response.url).path[1:]
        if path not in {"health", "model"}:  # which are asked again and again
            sizes.append((path, sum(response.request.sizes().values())))

    page.on("response", note)
    page.goto(page.url)
    page.locator("[data-state=ready]").wait_for()
    files = {path.relative_to(WEB).as_posix() for path in WEB.rglob("*.*")} - {"index.html"}
    assert sorted(path for path, _ in sizes) == sorted({"", *files})
    assert sum(size for _, size in sizes) < 50_000, "headers included"
