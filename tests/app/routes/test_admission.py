from __future__ import annotations

import pytest

from app.inference.lifecycle import Service
from app.routes.admission import deadline
from app.settings import read_settings
from app.xray.errors import DeadlineExceeded
from tests.app.fakes import StuckEngine, fake_classifier

pytestmark = pytest.mark.anyio


async def test_what_takes_too_long_is_given_up(png: bytes) -> None:
    engine = StuckEngine()
    service = Service(read_settings(), lambda _: fake_classifier(engine))
    await service.start()
    with pytest.raises(DeadlineExceeded, match=r"within 0\.1 s"):
        async with deadline(0.1):
            await service.pipeline.classify(png)
    engine.released.set()
