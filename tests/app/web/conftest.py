"""A real browser over a live server; Debian's Chromium, skipped where there is none.

Without a window where there is that build of it: a page then takes half of the computing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect, sync_playwright

from app.xray.contract import ModelContract
from tests.live import live, reserved_port
from tests.networks import tiny_gate, write_tiny_checkpoint
from tests.tools import find_tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, ConsoleMessage, Page

REFUSED = "Failed to load resource"
"""What Chromium itself writes for every answer of 4xx and 5xx."""

PATIENCE_MS = 30_000
"""For a condition to come true on a machine that has much else to do."""


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """For this package alone: tests elsewhere cannot run an event loop beside Playwright's."""
    path = find_tool("chromium-headless-shell", "chromium")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint that brings a temperature and an operating point that none reaches."""
    contract = ModelContract.recipe_of_2022().model_copy(
        update={"temperature": 1.5, "operating_points": {"COVID": 0.2, "NORMAL": 0.9}}
    )
    return write_tiny_checkpoint(tmp_path_factory.mktemp("models") / "calibrated.h5", contract)


@pytest.fixture(scope="session")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint whose gate takes nothing for a chest X-ray."""
    gate = tiny_gate(threshold=1.0, mean=1e3)
    contract = ModelContract.recipe_of_2022().model_copy(update={"ood": gate})
    return write_tiny_checkpoint(tmp_path_factory.mktemp("models") / "refusing.h5", contract)


@pytest.fixture(scope="package")
def address(calibrated: Path) -> Iterator[str]:
    """Of a live server with the calibrated checkpoint."""
    with live(calibrated, drain_s="0", max_upload_mb="1") as (client, _):
        yield str(client.base_url)


@pytest.fixture
def port() -> Iterator[int]:
    """On which one server can follow another."""
    with reserved_port() as port:
        yield port


@pytest.fixture
def open_page(browser: Browser, address: str) -> Iterator[Callable[..., Any]]:
    """Opens the page in a browser of its own; at the end nothing may have gone wrong in it."""
    opened: list[tuple[Page, list[str]]] = []

    def open_one(url: str = address, *, until: str = "ready", **options: Any) -> Page:
        context = browser.new_context(**options)
        page = context.new_page()
        page.clock.install()
        faults: list[str] = []
        watch(page, url, faults)
        opened.append((page, faults))
        page.goto(url)
        if until:
            page.locator(f"[data-state={until}]").wait_for()
        return page

    yield open_one
    for page, faults in opened:
        page.context.close()
        assert faults == []


def watch(page: Page, url: str, faults: list[str]) -> None:
    """Note in `faults` what a page must not do: fail, complain, or ask another host."""

    def on_console(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(REFUSED):
            faults.append(message.text)

    home = urlsplit(url).netloc
    page.on("console", on_console)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "request",
        lambda request: (
            faults.append(request.url)
            if request.url.startswith(("http", "ws")) and urlsplit(request.url).netloc != home
            else None
        ),
    )
