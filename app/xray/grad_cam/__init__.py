"""Where a picture speaks for a class, by the layers behind a network's last map: the door."""

from app.xray.grad_cam.chain import heat_map, take_head
from app.xray.grad_cam.head import Head

__all__ = ["Head", "heat_map", "take_head"]
