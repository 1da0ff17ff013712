import numpy as np
from PIL import Image

from app.xray.heat import blend


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
