"""`/docs` in a real browser, on a service that wants keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.live import live

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser


def test_it_opens_without_a_key_and_takes_one(browser: Browser, calibrated: Path) -> None:
    with live(calibrated, drain_s="0", api_keys="pacs:a-key") as (client, _):
        page = browser.new_page()
        page.goto(f"{client.base_url}/docs")
        page.get_by_role("button", name="Authorize").first.click(timeout=30_000)
        page.get_by_label("auth-bearer-value").fill("a-key")
        page.get_by_role("button", name="Apply credentials").first.click()
        page.get_by_role("button", name="Close").first.click()
        operation = page.locator("#operations-operation-getModel")
        operation.get_by_role("button").first.click()
        operation.get_by_role("button", name="Try it out").click()
        operation.get_by_role("button", name="Execute").click()
        expect(
            operation.locator(".live-responses-table .response-col_status").last
        ).to_contain_text("200", timeout=30_000)
        page.close()
