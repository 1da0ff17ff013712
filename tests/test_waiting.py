from __future__ import annotations

import itertools

import pytest

from tests.waiting import until, wait_until


def test_what_came_about_is_given_back() -> None:
    counted = itertools.count()
    assert wait_until(lambda: next(counted) == 3 and "three") == "three"
    assert next(counted) == 4


def test_what_never_comes_about_fails_the_test_and_is_named() -> None:
    with pytest.raises(TimeoutError, match="never comes"):
        wait_until(lambda: bool("never comes") is False, limit_s=0.01)


@pytest.mark.anyio
async def test_an_event_loop_goes_on_while_a_condition_of_any_kind_is_waited_for() -> None:
    counted = itertools.count()

    async def third() -> bool:
        return next(counted) == 3

    await until(third)
    assert await until(lambda: next(counted) == 6 and "six") == "six"
    with pytest.raises(TimeoutError, match="never comes"):
        await until(lambda: bool("never comes") is False, limit_s=0.01)
