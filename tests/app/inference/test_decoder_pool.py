from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest

from app.inference import decoder_pool as decoding
from app.inference.batching import QueueFull
from app.inference.decoder_pool import Decoding, TakesLong, decode_upload
from app.inference.overlay import SIDE
from app.settings import read_settings
from app.xray.contract import ModelContract
from app.xray.errors import DecodingStopped, UnusableImage, WrongModality
from app.xray.preprocess import preprocess
from benchmarks.rig.corpus.dicoms import write_dicom
from benchmarks.rig.corpus.drawing import draw_radiograph, encode
from tests.stalls import be_killed, crash, dawdle, toil

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio

DICOM = write_dicom(np.asarray(draw_radiograph()), ViewPosition="LL")


@pytest.fixture
def make() -> Iterator[object]:
    made: list[Decoding] = []

    def build(**settings: object) -> Decoding:
        made.append(Decoding(read_settings(**settings)))
        return made[-1]

    yield build
    for one in made:
        one.close()


def devour(*_: object) -> None:
    _ = np.ones(200_000_000_000 // 8)


async def test_a_thread_takes_what_is_quick_and_leaves_the_rest(
    make: object, png: bytes, contract: ModelContract
) -> None:
    one = make()
    decoded = await one.quickly(png, contract, picture_side=SIDE)
    assert np.array_equal(decoded.model_input, preprocess(png, contract))
    assert decoded.picture.size == (300, 260)
    with pytest.raises(TakesLong):
        await one.quickly(DICOM, contract, picture_side=None)


def test_a_picture_to_look_at_is_whole_whatever_the_model_is_shown() -> None:
    contract = ModelContract(
        classes=("A", "B"), input_size=(100, 100), resize="box", decode="scaled", scale=1 / 255
    )
    data = encode(draw_radiograph(size=(1000, 1200)), "JPEG", quality=90)
    plain = decode_upload(data, contract, 10_000_000, None)
    looked_at = decode_upload(data, contract, 10_000_000, SIDE)
    assert looked_at.picture is not None
    assert max(looked_at.picture.size) > 200, "more than a scaled one has"
    assert np.array_equal(looked_at.model_input, plain.model_input)
    assert np.array_equal(plain.model_input, preprocess(data, contract))


async def test_a_process_of_its_own_gives_the_very_same(
    make: object, contract: ModelContract
) -> None:
    here = decode_upload(DICOM, contract, 1_000_000, SIDE)
    there = await make().apart(DICOM, contract, picture_side=SIDE)
    assert np.array_equal(there.model_input, here.model_input)
    assert there.warnings == here.warnings != ()
    assert there.picture.tobytes() == here.picture.tobytes()


async def test_an_error_there_is_the_error_here(make: object, contract: ModelContract) -> None:
    one = make()
    with pytest.raises(WrongModality, match="CT"):
        await one.apart(
            write_dicom(np.asarray(draw_radiograph()), Modality="CT"), contract, picture_side=None
        )
    with pytest.raises(UnusableImage, match="cut off within PixelData"):
        await one.apart(DICOM[:1000], contract, picture_side=None)


@pytest.mark.parametrize(
    ("work", "message"),
    [
        pytest.param(toil, r"takes more than 3 s of computing", id="takes-for-ever"),
        pytest.param(crash, "its decoder crashed", id="crashes"),
        pytest.param(devour, "takes too much memory", id="takes-all-memory"),
    ],
)
async def test_what_breaks_a_decoder_is_refused_and_the_next_is_decoded(
    work: object,
    message: str,
    make: object,
    contract: ModelContract,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = make(decode_timeout_s=3)  # where importing pydicom alone may take one
    with monkeypatch.context() as patch:
        patch.setattr(decoding, "decode_upload", work)
        with pytest.raises(UnusableImage, match=message):
            await one.apart(DICOM, contract, picture_side=None)
    assert (await one.apart(DICOM, contract, picture_side=None)).picture is None


async def test_what_the_machine_kills_is_not_told_as_the_files_fault(
    make: object,
    contract: ModelContract,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    one = make()
    with monkeypatch.context() as patch:
        patch.setattr(decoding, "decode_upload", be_killed)
        with pytest.raises(DecodingStopped, match="killed twice: the machine may be short of mem"):
            await one.apart(DICOM, contract, picture_side=None)
    assert (await one.apart(DICOM, contract, picture_side=None)).picture is None
    told = [record for record in caplog.records if record.levelname == "WARNING"]
    assert [record.getMessage() for record in told] == [
        "a decoder ended early: killed (exit code -9)"
    ] * 2


async def test_a_thread_without_memory_is_not_told_as_the_files_fault(
    make: object, png: bytes, contract: ModelContract, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_out(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(decoding, "decode_upload", run_out)
    with pytest.raises(DecodingStopped, match="no memory left"):
        await make().quickly(png, contract, picture_side=None)


async def test_quick_ones_are_decoded_while_slow_ones_take_all_processes(
    make: object, png: bytes, contract: ModelContract, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = make(max_queue=8)
    with monkeypatch.context() as patch:
        patch.setattr(decoding, "decode_upload", dawdle)
        slow = [
            asyncio.create_task(one.apart(DICOM, contract, picture_side=None)) for _ in range(4)
        ]
        await asyncio.sleep(0.1)
        with pytest.raises(QueueFull, match="4 requests that take long are waiting"):
            await one.apart(DICOM, contract, picture_side=None)
    assert (await one.quickly(png, contract, picture_side=None)).picture is None
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    assert (await one.apart(DICOM, contract, picture_side=None)).warnings


def processes() -> set[psutil.Process]:
    """Those that decode, of all tests."""
    found = set()
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):  # which a zombie is too: its command line is gone
            if "spawn_main" in " ".join(child.cmdline()):
                found.add(child)
    return found


async def test_processes_that_died_when_idle_are_started_anew(
    make: object, contract: ModelContract
) -> None:
    one, before = make(), processes()
    await one.apart(DICOM, contract, picture_side=None)
    for child in (killed := processes() - before):
        child.kill()
    assert killed
    # The first may meet a process as it dies, and is decoded again.
    decoded = await one.apart(DICOM, contract, picture_side=None)
    assert decoded.warnings
    assert not killed & processes()


async def test_processes_end_when_it_is_closed(make: object, contract: ModelContract) -> None:
    one, before = make(), processes()
    await one.apart(DICOM, contract, picture_side=None)
    started = processes() - before
    assert started
    one.close()
    assert not started & processes()
