"""What must be stored so that it can be read again: sealed with AES-256-GCM under the installation's newest key.

A sealed text reads `v1.<key id>.<nonce and ciphertext>`; it is bound to the place that it is for, so that a row's
secret is worth nothing in another row. Old keys still open; `cloudctl keys reseal` seals anew. Deliberately not for
tokens and codes, which are hashed. The keys come from the settings. Tests: tests/unit/cloud/secrets/test_sealing.py.
"""

import base64
import binascii
import hashlib
import secrets
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

_VERSION = "v1"
_NONCE_BYTES = 12
_KEY_ID_CHARACTERS = 8


class CannotOpen(Exception):
    """This was sealed with a key that the installation does not have, for another place, or was changed since."""


def key_id(key: bytes) -> str:
    """What a key is called in what it sealed; tells nothing of it."""
    return hashlib.sha256(b"ropeway key id\0" + key).hexdigest()[:_KEY_ID_CHARACTERS]


def sealed(plain: bytes, *, place: str) -> str:
    """What to store. `place` names the row and the field it is for, for example `webhook:<id>`."""
    key = _keys()[0]
    nonce = secrets.token_bytes(_NONCE_BYTES)
    content = nonce + AESGCM(key).encrypt(nonce, plain, _bound_to(place))
    return f"{_VERSION}.{key_id(key)}.{base64.urlsafe_b64encode(content).decode()}"


def opened(text: str, *, place: str) -> bytes:
    """What was sealed. Raises CannotOpen."""
    version, _, rest = text.partition(".")
    wanted, _, content = rest.partition(".")
    key = next((key for key in _keys() if key_id(key) == wanted), None)
    if version != _VERSION or key is None:
        raise CannotOpen(str(CannotOpen.__doc__))
    try:
        raw = base64.urlsafe_b64decode(content)
        return AESGCM(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _bound_to(place))
    except (InvalidTag, ValueError, binascii.Error) as error:
        raise CannotOpen(str(CannotOpen.__doc__)) from error


def is_current(text: str) -> bool:
    """Whether the newest key sealed it; else it should be sealed anew."""
    return text.startswith(f"{_VERSION}.{key_id(_keys()[0])}.")


def keys_known() -> list[str]:
    """The ids of the keys that open, the newest first."""
    return [key_id(key) for key in _keys()]


def _bound_to(place: str) -> bytes:
    return f"ropeway secret {_VERSION}\0{place}".encode()


def _keys() -> Sequence[bytes]:
    """The newest first."""
    keys: Sequence[bytes] = settings.SEALING_KEYS
    return keys
