"""The image types that the page offers, held against those that the service takes."""

import re
from importlib.resources import files

from app.xray.image_types import NAMES, SUFFIXES, TYPES


def test_the_page_offers_the_files_that_the_service_takes_and_names_them() -> None:
    page = files("app").joinpath("web", "index.html").read_text()
    accept = re.search(r'accept="([^"]+)"', page)
    assert accept
    assert accept[1].split(",") == [*(kind.media_type for kind in TYPES), *SUFFIXES]
    assert NAMES in page
