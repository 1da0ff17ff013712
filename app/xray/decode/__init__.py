"""Bytes of an image file -> an upright 8-bit picture: the door."""

from app.xray.decode.file import MAX_PIXELS, MAX_SIDE, MIN_SIDE, decode, sniff

__all__ = ["MAX_PIXELS", "MAX_SIDE", "MIN_SIDE", "decode", "sniff"]
