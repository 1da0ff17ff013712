"""Which keys open the service, and the name of whoever was given each."""

from __future__ import annotations

import hashlib
import hmac
import logging
from typing import TYPE_CHECKING, Final, NamedTuple

from app.settings import API_KEY, KEY_RULE
from app.xray.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from app.settings import Settings

log = logging.getLogger(__name__)

UNNAMED: Final = "unnamed"
"""The name of a key that was given none."""
ADMIN: Final = "admin"


class _Key(NamedTuple):
    digest: bytes
    name: str


class Keyring:
    """The API keys of the settings and of the file that they name, and the admin's key.

    Digests are kept, no keys. Several keys may have one name, as they do while one is exchanged.
    """

    def __init__(self, settings: Settings) -> None:
        """Read the keys.

        Raises:
            SettingsError: the file cannot be read, or holds no key, or what is none.
        """
        self._settings = settings
        self._keys = _read(settings)
        admin = settings.admin_key
        self._admins = (_Key(_digest(admin.get_secret_value()), ADMIN),) if admin else ()

    @property
    def names(self) -> frozenset[str]:
        """Those of all API keys."""
        return frozenset(key.name for key in self._keys)

    def is_open(self, *, for_admin: bool) -> bool:
        """Whether nobody needs a key, because there are none."""
        return not (self._admins if for_admin else self._keys)

    def owner_of(self, given: str, *, for_admin: bool) -> str | None:
        """The name of the key `given`, None where it opens nothing.

        It takes as long for a wrong key as for a right one.
        """
        digest = _digest(given)
        keys = self._admins if for_admin else self._keys
        # Digests have one length, and all are looked at, whichever fits.
        owners = [key.name for key in keys if hmac.compare_digest(digest, key.digest)]
        return owners[0] if owners else None

    def reread(self) -> None:
        """Take the keys that stand in the file now; the old ones stay where it cannot be used."""
        if self._settings.api_keys_file is None:
            return
        try:
            self._keys = _read(self._settings)
        except SettingsError as error:
            log.error("the old keys stay: %s", error)  # noqa: TRY400  # the words are enough
        else:
            log.info("%d keys read: %s", len(self._keys), ", ".join(sorted(self.names)))


def _read(settings: Settings) -> tuple[_Key, ...]:
    keys = {_digest(key): name for name, key in map(_split, _entries(settings))}
    return tuple(_Key(digest, name) for digest, name in keys.items())


def _entries(settings: Settings) -> Iterable[str]:
    """Each `key` or `name:key`, well formed."""
    yield from (entry.get_secret_value() for entry in settings.api_keys)
    path = settings.api_keys_file
    if path is None:
        return
    where = f"CXR_API_KEYS_FILE={str(path)!r}"
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{where}: cannot be read: {error}") from error
    found = [
        (number, line.strip())
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not found:
        raise SettingsError(f"{where}: holds no key; one is expected on each line")
    for number, entry in found:
        if not API_KEY.fullmatch(entry):
            raise SettingsError(f"{where}: line {number}: {KEY_RULE}")
        yield entry


def _split(entry: str) -> tuple[str, str]:
    name, _, key = entry.rpartition(":")
    return name or UNNAMED, key


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("latin-1")).digest()
