"""Certificates for 127.0.0.1, of an authority that a test makes."""

from __future__ import annotations

import ssl
import subprocess
from typing import TYPE_CHECKING

from tests.tools import find_tool

if TYPE_CHECKING:
    from pathlib import Path

CONFIGURATION = """
[req]
distinguished_name = name
prompt = no
[name]
CN = {name}
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[peer]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = IP:127.0.0.1
"""


class Authority:
    """Issues certificates; its own is `certificate`."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder / name
        self.folder.mkdir()
        self.certificate, self._key = self._make("authority")

    def issue(self, name: str) -> tuple[Path, Path]:
        """A certificate and its key."""
        signed = ["-CA", str(self.certificate), "-CAkey", str(self._key)]
        return self._make(name, "peer", *signed)

    def server(self, name: str) -> ssl.SSLContext:
        """What a server speaks that has a certificate and asks for one of this authority."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.certificate))
        context.load_cert_chain(*self.issue(name))
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client(self, shown: tuple[Path, Path] | None) -> ssl.SSLContext:
        """What a client speaks that trusts this authority and shows `shown`."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        if shown:
            context.load_cert_chain(*shown)
        return context

    def _make(self, name: str, section: str = "authority", *signed: str) -> tuple[Path, Path]:
        configuration = self.folder / f"{name}.cnf"
        configuration.write_text(CONFIGURATION.format(name=f"{self.folder.name} {name}"))
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        subprocess.run(
            [
                *(find_tool("openssl"), "req", "-x509", "-config", configuration),
                *("-extensions", section, "-days", "2", "-nodes", *signed),
                *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
                *("-keyout", key, "-out", certificate),
            ],
            check=True,
            capture_output=True,
        )
        return certificate, key
