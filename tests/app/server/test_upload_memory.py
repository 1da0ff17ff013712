from __future__ import annotations

import pytest

from app.inference.batching import QueueFull
from app.server.uploads import UploadMemory


def test_what_is_taken_is_given_back_whatever_ends_the_block() -> None:
    memory = UploadMemory(100)

    def take_and_fail() -> None:
        with memory.share() as share:
            share.take(60)
            share.take(40)
            assert memory.held == 100
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        take_and_fail()
    assert memory.held == 0


def test_all_uploads_together_are_held_against_the_limit() -> None:
    memory = UploadMemory(100)
    with memory.share() as one, memory.share() as other:
        one.take(60)
        other.take(40)
        with pytest.raises(QueueFull, match="Uploads take all the memory they may"):
            other.take(1)
    with memory.share() as later:
        later.take(100)


def test_what_is_only_announced_takes_nothing() -> None:
    memory = UploadMemory(100)
    with memory.share() as share:
        share.expect(100)
        with pytest.raises(QueueFull):
            share.expect(101)
        assert memory.held == 0
