"""The connection under an association: no delays of its own, bounded in time, over TLS."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Any

from app.xray.errors import SettingsError

if TYPE_CHECKING:
    from pynetdicom import evt

    from app.pacs.settings import PacsSettings


def prepare_connection(event: evt.Event, stall_s: float) -> None:
    """Handler of `EVT_CONN_OPEN`: send at once, and wait `stall_s` for a peer at most.

    pynetdicom writes a message in pieces, and Nagle's algorithm keeps the second back until the
    first is acknowledged, which a peer may put off by 40 ms. And it reads a PDU to its end however
    long that takes, in the very thread that would notice that its peer has stalled.
    """
    found = event.assoc.dul.socket
    if found is None or found.socket is None:  # gone already
        return
    found.socket.settimeout(stall_s)
    found.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def end_connection(association: Any) -> None:
    """Shut the connection of `association` down, so that whatever reads it comes to an end."""
    found = association.dul.socket
    if found is not None:
        found._shutdown_socket()


class _HandshakeLater(ssl.SSLContext):
    """Leaves the handshake to the first read, in the association's own thread.

    pynetdicom wraps a connection in the thread that accepts: a client that connects and says
    nothing would keep all others out.
    """

    def wrap_socket(self, *arguments: Any, **named: Any) -> ssl.SSLSocket:
        return super().wrap_socket(*arguments, **{**named, "do_handshake_on_connect": False})


def server_tls(settings: PacsSettings) -> ssl.SSLContext | None:
    """How senders are spoken to; None without TLS.

    Raises:
        SettingsError: the certificate, its key or the authority cannot be used.
    """
    if settings.pacs_tls_certificate is None:
        return None
    context = _HandshakeLater(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(settings.pacs_tls_certificate, settings.pacs_tls_key)
    except (ssl.SSLError, OSError) as error:
        raise SettingsError("CXR_PACS_TLS_CERTIFICATE and its key do not fit") from error
    if settings.pacs_tls_authority:
        try:
            context.load_verify_locations(settings.pacs_tls_authority)
        except (ssl.SSLError, OSError) as error:
            raise SettingsError("CXR_PACS_TLS_AUTHORITY holds no certificate") from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_tls(settings: PacsSettings) -> ssl.SSLContext | None:
    """How the destination is spoken to; None without TLS.

    Raises:
        SettingsError: the certificate, its key or the authority cannot be used.
    """
    authority = settings.pacs_destination_tls_authority
    certificate = settings.pacs_destination_tls_certificate
    if authority is None and certificate is None:
        return None
    try:
        context = ssl.create_default_context(cafile=authority and str(authority))
    except (ssl.SSLError, OSError) as error:
        raise SettingsError("CXR_PACS_DESTINATION_TLS_AUTHORITY holds no certificate") from error
    if certificate:
        try:
            context.load_cert_chain(certificate, settings.pacs_destination_tls_key)
        except (ssl.SSLError, OSError) as error:
            raise SettingsError(
                "CXR_PACS_DESTINATION_TLS_CERTIFICATE and its key do not fit"
            ) from error
    return context
