"""The secrets an attempt began with, kept beside its raw output for as long as that lies there.

A log may be cleaned later than it was written: by another daemon, after a key was changed. It must not show the old
one. Encrypted, with a key of the home that encrypts nothing else; gone with the attempt's scratch directory.
Deliberately not for what an executor is given, but for a key made of the home's. Called by `execution` and
`provision` (keep), and `workshop` (asks).
Tests: tests/unit/daemon/scheduler/test_kept_secrets.py.
"""

import hmac
import itertools
import json
import logging
import os
import secrets
import threading
from collections.abc import Collection, Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from local_daemon.config import home as homes
from local_daemon.config import plain_files
from local_daemon.protocol import ids

logger = logging.getLogger(__name__)

_NAME = "secrets"
_KEY_BYTES = 32
_NONCE_BYTES = 12
_BYTES_MAX = 64 * 1024 * 1024

_making_key = threading.Lock()
"""The first attempts of a home begin at once, and what one key sealed no other opens."""


def secrets_keep(key_path: Path, scratch: Path, known: Mapping[str, str]) -> None:
    """Keep these in the attempt's scratch directory, before its executor starts, with a new key where the home has none
    that is one; what was kept before stays until they are. Blocks. Raises OSError."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    content = json.dumps(list(known.items())).encode()
    with _making_key:
        cipher = _cipher(key_path)
    sealed = cipher.encrypt(nonce, content, _label(scratch))
    homes.private_write(scratch / _NAME, nonce + sealed)


def secrets_kept(key_path: Path, scratch: Path) -> tuple[tuple[str, str], ...]:
    """Names and values that were kept; none where none were, or where the home's key is another by now."""
    try:
        sealed = plain_files.plain_read(scratch / _NAME, bytes_max=_BYTES_MAX)
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except plain_files.NotPlain:
        sealed = b""  # The attempt has put it there.
    try:
        content = ChaCha20Poly1305(_key(key_path)).decrypt(
            sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _label(scratch)
        )
    except (FileNotFoundError, ValueError, InvalidTag):
        logger.warning("secrets of an attempt can't be read", extra={"event": "secrets.unreadable"})
        return ()
    return tuple((name, value) for name, value in json.loads(content))


def step_key(key_path: Path, step_id: ids.StepId) -> bytes:
    """A key of the step's own, for as long as the home has the one that secrets were kept with; who has it knows
    nothing of that one, nor of another step's. Raises OSError."""
    return hmac.digest(_key(key_path), f"step {step_id}".encode(), "sha256")


def name_free(name: str, taken: Collection[str]) -> str:
    """That name, with a number where another value has it: as often as a hook makes a secret anew."""
    numbered = (f"{name} {number}" for number in itertools.count(2))
    return next(free for free in itertools.chain([name], numbered) if free not in taken)


def _cipher(key_path: Path) -> ChaCha20Poly1305:
    try:
        return ChaCha20Poly1305(_key(key_path))
    except FileNotFoundError:
        pass
    except ValueError:
        # What it sealed nobody can read any more, with it or without it.
        logger.warning("the key of kept secrets is damaged; there is a new one", extra={"event": "secrets.new_key"})
    homes.private_write(key_path, secrets.token_hex(_KEY_BYTES))
    return ChaCha20Poly1305(_key(key_path))


def _key(key_path: Path) -> bytes:
    return bytes.fromhex(key_path.read_text(encoding="ascii"))


def _label(scratch: Path) -> bytes:
    return os.fsencode(scratch.name)
