from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from app.xray.probes import draw_probes

if TYPE_CHECKING:
    from app.xray.contract import ModelContract


def test_probes_are_pictures_that_differ(contract: ModelContract) -> None:
    probes = draw_probes(contract)
    assert (probes.dtype, probes.shape[1:]) == (np.uint8, (224, 224, 3))
    assert len(np.unique(probes, axis=0)) == len(probes)
    assert probes.min() < 60
    assert probes.max() > 200
