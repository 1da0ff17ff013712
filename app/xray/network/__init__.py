"""An inspected checkpoint -> a Keras model: the door."""

from app.xray.network.build import build_network
from app.xray.network.expose import Layout, expose_features
from app.xray.network.library import hush_tensorflow, import_keras

__all__ = ["Layout", "build_network", "expose_features", "hush_tensorflow", "import_keras"]
