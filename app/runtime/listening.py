"""A socket to listen on, or a sentence that names the settings at fault."""

from __future__ import annotations

import socket
from typing import Final

from app.xray.errors import SettingsError

BACKLOG: Final = 2048


def listen(host: str, port: int, *, host_setting: str, port_setting: str) -> socket.socket:
    """A socket bound to `host` and `port`, IPv4 or IPv6; port 0 takes any that is free.

    Raises:
        SettingsError: as `cannot_listen`.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        raise cannot_listen(host, port, error, host_setting, port_setting) from error


def cannot_listen(
    host: str, port: int, error: Exception, host_setting: str, port_setting: str
) -> SettingsError:
    """That the address is none of this machine's, or the port is taken; names both settings."""
    return SettingsError(
        f"{host_setting}={host!r}, {port_setting}={port}: cannot listen there: {error}"
    )
