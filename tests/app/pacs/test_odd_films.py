"""Films that are odd or broken, on their way through the node and the service itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from app.pacs.report import MANUFACTURER
from benchmarks.rig.corpus.dicoms import UIDS, encode_levels
from benchmarks.rig.corpus.drawing import draw_radiograph
from benchmarks.rig.dicom_peers import draw_film
from tests.app.pacs.conftest import read

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    from pydicom import Dataset

    from tests.app.pacs.conftest import Rig

    Start = Callable[..., Rig]

REASON = "Reason why the film was not answered"
WARNING = "Warning about this answer"
PROBABILITY = "Probability by the model, 0 to 1"


@pytest.fixture
def node(start: Start, real_service: httpx.Client) -> Callable[..., Rig]:
    def start_node(**settings: Any) -> Rig:
        return start(service_url=str(real_service.base_url), pacs_timeout_s=60, **settings)

    return start_node


def compressed(syntax: str, *, keep: float = 1.0) -> Dataset:
    """A film in a transfer syntax, of whose codestream so much is left."""
    film = draw_film()
    whole = encode_levels(np.asarray(draw_radiograph(0)), syntax, 8)
    film.PixelData = encapsulate([whole[: int(len(whole) * keep)]])
    film["PixelData"].VR = "OB"
    film.file_meta.TransferSyntaxUID = UID(UIDS[syntax])
    return film


def test_a_lateral_film_is_answered_and_its_report_warns(node: Callable[..., Rig]) -> None:
    rig = node()

    assert rig.sender.send(draw_film(ViewPosition="LL")).Status == 0x0000
    said = read(rig.archive.received[0])
    assert any("lateral view" in warning for warning in said[WARNING])
    assert len(said[PROBABILITY]) == 3
    assert rig.sender.echoes()


def test_a_frontal_film_gets_no_such_warning(node: Callable[..., Rig]) -> None:
    rig = node()
    rig.sender.send(draw_film(ViewPosition="PA"))

    assert not any("lateral" in each for each in read(rig.archive.received[0]).get(WARNING, []))


@pytest.mark.parametrize("syntax", ["jpeg-lossless-sv1", "jpeg-ls", "jpeg-2000-lossless"])
def test_a_compressed_film_is_answered_as_the_same_film_is_uncompressed(
    node: Callable[..., Rig], syntax: str
) -> None:
    rig = node()
    assert rig.sender.send(draw_film()).Status == 0x0000
    assert rig.sender.send(compressed(syntax)).Status == 0x0000

    plain, packed = (read(report)[PROBABILITY] for report in rig.archive.received)
    assert packed == plain


def test_a_broken_pixel_stream_gets_a_report_that_says_why(node: Callable[..., Rig]) -> None:
    rig = node()

    assert rig.sender.send(compressed("jpeg-2000-lossless", keep=0.3)).Status == 0x0000
    said = read(rig.archive.received[0])
    assert len(said[REASON]) >= 2
    assert PROBABILITY not in said
    assert rig.sender.echoes()


def test_a_broken_pixel_stream_cannot_be_understood_where_refusals_are_not_reported(
    node: Callable[..., Rig],
) -> None:
    rig = node(pacs_report_refusals=False)

    found = rig.sender.send(compressed("jpeg-2000-lossless", keep=0.3))
    assert found.Status == 0xC001
    assert found.ErrorComment
    assert not rig.archive.received
    assert rig.sender.echoes()


def test_a_film_of_no_pixels_gets_a_report_that_says_why(node: Callable[..., Rig]) -> None:
    rig = node()
    empty = draw_film()
    del empty.PixelData

    assert rig.sender.send(empty).Status == 0x0000
    assert read(rig.archive.received[0])[REASON]
    assert rig.sender.echoes()


def test_what_the_node_made_itself_is_no_film(start: Start) -> None:
    rig = start()

    found = rig.sender.send(draw_film(Manufacturer=MANUFACTURER))
    assert found.Status == 0xC003
    assert not rig.service.films
    assert not rig.archive.received
    assert rig.sender.echoes()
