"""What passes by itself is waited for: a busy service, one that restarts, one that is away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.app.web.browsing import (
    HEADLINE,
    OTHER,
    PICTURE,
    answer_first,
    answered,
    choose,
    file_of,
    refuse,
    say,
)
from tests.live import live

if TYPE_CHECKING:
    from pathlib import Path

    from tests.app.web.browsing import Open


@pytest.mark.parametrize("kind", ["queue-full", "not-ready", "inference-stopped"])
def test_what_passes_by_itself_is_waited_for(kind: str, open_page: Open) -> None:
    page = open_page()
    refuse(page, 2, 503, kind, "Not now")
    choose(page, file_of(PICTURE))
    expect(page.locator(HEADLINE)).to_have_text("The service is busy; it is asked again …")
    answered(page)


@pytest.mark.parametrize("status", [502, 503])
def test_a_proxy_whose_service_starts_anew_is_waited_for(status: int, open_page: Open) -> None:
    page = open_page()
    answer_first(page, 3, status=status, body="<h1>-</h1>")
    choose(page, file_of(PICTURE), file_of(OTHER))
    expect(page.locator(HEADLINE)).to_have_text("The service is busy; it is asked again …")
    answered(page)
    expect(page.locator(".thumbnail.failed")).to_have_count(0)


def test_what_does_not_pass_is_told_in_the_end(open_page: Open) -> None:
    page = open_page()
    refuse(page, 3, 503, "queue-full", "Too many requests wait already")
    choose(page, file_of(PICTURE))
    expect(page.locator(HEADLINE)).to_have_text("Too many requests wait already")
    page.get_by_role("button", name="Try again").click()
    answered(page)


def test_an_upload_on_which_nothing_moves_is_given_up_and_sent_again(open_page: Open) -> None:
    page = open_page()
    asked: list[object] = []

    def answer(route: Any) -> None:
        asked.append(route)
        if len(asked) > 1:
            route.continue_()

    page.route("**/predict*", answer)
    choose(page, file_of(PICTURE))
    expect(page.locator(HEADLINE)).to_have_text("Sending …")
    page.clock.fast_forward(120_001)
    answered(page)


def test_the_service_may_go_away_and_come_back(
    calibrated: Path, port: int, open_page: Open
) -> None:
    with live(calibrated, port=port, drain_s="0") as (client, _):
        page = open_page(str(client.base_url))
    choose(page, file_of(PICTURE))
    expect(page.locator("#state")).to_contain_text("Cannot be reached")
    expect(page.locator(HEADLINE)).to_have_text("Waiting for the service …")
    with live(calibrated, port=port, drain_s="0"):
        answered(page)
        expect(page.locator("#state")).to_contain_text("Ready, OpenVINO on CPU")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        pytest.param("loading", "Loading the model", id="loading"),
        pytest.param("draining", "Shutting down", id="draining"),
        pytest.param("failed", "Cannot serve its model: no such file", id="failed"),
    ],
)
def test_the_state_of_the_service_is_seen_at_a_glance(
    status: str, words: str, open_page: Open
) -> None:
    page = open_page()
    say(page, status, "no such file" if status == "failed" else None)
    expect(page.locator("#state")).to_contain_text(words)
