"""The text of credentials, and what is kept of them.

A token reads `rw_<random>_<checksum>`: recognizable by scanners, and a typing error is seen without a look-up. What is
kept is a keyed digest, so that a stolen table is worth nothing. Pure but for the key. Tests:
tests/unit/cloud/access/test_credentials.py.
"""

import hashlib
import hmac
import re
import secrets
import zlib

from django.conf import settings

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_CHARACTERS = 40
_CHECKSUM_CHARACTERS = 6
_TOKEN = re.compile(rf"rw_[0-9A-Za-z]{{{_RANDOM_CHARACTERS}}}_[0-9A-Za-z]{{{_CHECKSUM_CHARACTERS}}}")
PREFIX_CHARACTERS = 9

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CODE_CHARACTERS = 24


def token_new() -> str:
    """A fresh token: 238 random bits and a checksum."""
    body = "rw_" + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_CHARACTERS))
    return f"{body}_{_checksum(body)}"


def is_token(text: str) -> bool:
    """Whether this can be a token at all: form and checksum. Says nothing about whether it is good."""
    if _TOKEN.fullmatch(text) is None:
        return False
    body, _, checksum = text.rpartition("_")
    return hmac.compare_digest(_checksum(body), checksum)


def enrollment_code_new() -> str:
    """A fresh one-time code: 120 random bits in groups of four that people can read to each other."""
    return "RW-" + _grouped("".join(secrets.choice(_CROCKFORD) for _ in range(_CODE_CHARACTERS)))


def claim_code_new() -> str:
    """A fresh claim code, XXXX-XXXX: 40 random bits, good for minutes, typed by a signed-in administrator."""
    return _grouped("".join(secrets.choice(_CROCKFORD) for _ in range(8)))


def code_normalized(text: str) -> str:
    """A code as people type it, in its one form: case, spaces and look-alike letters do not matter."""
    plain = text.strip().upper().replace(" ", "").replace("-", "").removeprefix("RW")
    return plain.translate(str.maketrans("OIL", "011"))


def digest(text: str) -> bytes:
    """What is kept of a secret: HMAC-SHA256 with the installation's key."""
    return hmac.digest(settings.TOKEN_KEY, text.encode(), hashlib.sha256)


def digests_of_former_keys(text: str) -> list[bytes]:
    """What was kept of it under keys that were rotated out of use and are still known."""
    return [hmac.digest(key, text.encode(), hashlib.sha256) for key in settings.TOKEN_FORMER_KEYS]


def _grouped(text: str) -> str:
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def _checksum(body: str) -> str:
    value = zlib.crc32(body.encode())
    characters = []
    for _ in range(_CHECKSUM_CHARACTERS):
        value, remainder = divmod(value, len(_ALPHABET))
        characters.append(_ALPHABET[remainder])
    return "".join(reversed(characters))
