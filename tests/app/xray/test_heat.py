import numpy as np
from PIL import Image

from app.xray.heat import blend, within


def test_heat_is_laid_over_where_it_is_and_nowhere_else() -> None:
    picture = np.full((80, 60, 3), 100, np.uint8)
    assert np.array_equal(
        np.asarray(blend(Image.fromarray(picture), np.zeros((4, 3), np.float32))), picture
    )
    heat = np.zeros((4, 3), np.float32)
    heat[0, 2] = 1
    shown = np.asarray(blend(Image.fromarray(picture), heat))
    changed = (shown != picture).any(axis=2)
    assert changed[:20, 40:].all()
    assert not changed[45:].any()
    assert not changed[:, :25].any()


def test_the_heat_of_a_part_lies_where_that_part_is_in_the_whole() -> None:
    heat = np.ones((3, 3), np.float32)
    whole = within(heat, (50, 0, 150, 100), (200, 100))
    assert whole.shape == (100, 200)
    assert (whole[:, 50:150] == 1).all()
    assert (whole[:, :50] == 0).all()
    assert (whole[:, 150:] == 0).all()


def test_the_heat_of_all_of_a_picture_stays_as_it_is() -> None:
    heat = np.ones((3, 3), np.float32)
    assert within(heat, (0, 0, 200, 100), (200, 100)) is heat
