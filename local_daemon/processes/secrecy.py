"""Which settings are secrets, and which secrets look like any other word: what is redacted, and where.

An environment file holds more settings than secrets, and a log in which every `localhost` is replaced can't be read. A
setting is a secret by its name (`API_KEY`), by a password in an address, or because its value is not made of ordinary
words; in doubt it is one. A secret that is itself an everyday word (`DB_PASSWORD=postgres`) is told from it only by
what stands around it. Pure. Called by `capture`, `worktrees/environment_files.py`, `policies/secrets.py`.
Tests: tests/unit/daemon/processes/test_secrecy.py.
"""

import re

CHARACTERS_MIN = 6
"""A shorter value stands in any log by chance."""

_NAMED = re.compile(r"KEY|TOKEN|SECRET|PASS|PW|CRED|DSN|AUTH(?!ORS?(?:_|$))|SALT", re.IGNORECASE)
_PASSWORD = re.compile(r"://[^/@\s]*:([^/@\s]+)@")
_ADDRESS_WITHOUT_USER = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^@?#]*")

# What stands between ordinary words; any other sign (`!`, `$`, `%`, `#`, `&`) belongs to a word, which then is none.
_BETWEEN = re.compile(r"""[-_./:,;=@+~*|\\()\[\]{}"'\s]+""")
# A number, a word in one case or with a capital, or a little of both (`utf8`, `x86`, `v1`, `30s`, `sha256`). So sixteen
# letters and digits in a row are never ordinary, and neither are letters and digits, or cases, mixed at random.
_ORDINARY = re.compile(r"[0-9]{1,8}|[A-Za-z]?[a-z]{0,14}|[A-Z]{1,15}|[A-Za-z]{1,4}[0-9]{1,3}|[0-9]{1,4}[A-Za-z]{1,3}")

_EVERYDAY_NUMBER = re.compile(r"[0-9]{0,5}")
_EVERYDAY = frozenset(
    """
    true false yes no on off null none nil undefined enabled disabled default auto always never
    dev devel develop development stage staging prod production release test tests testing ci example sample demo
    local localhost host http https tcp com org net io www public private internal external main master
    debug info notice warn warning error fatal critical trace verbose silent quiet
    root admin administrator user username guest anonymous nobody password passwd pass secret token key changeme
    postgres postgresql mysql mariadb mongo mongodb redis sqlite rabbitmq amqp elastic database db
    app application web api server client service worker session cookie bearer basic oauth jwt
    utf ascii utc en us json yaml html text plain file memory
    """.split()
)
"""What a log is full of, whatever a setting says."""


def is_named_secret(name: str) -> bool:
    """Whether a setting of this name is meant to be kept secret."""
    return _NAMED.search(name) is not None


def password_in(value: str) -> str | None:
    """The password in an address (`postgres://user:password@host/`); None where there is none."""
    found = _PASSWORD.search(value)
    return None if found is None else found[1]


def is_secret(name: str, value: str) -> bool:
    """Whether this setting of an environment file is a secret. An address of ordinary words that names no user is none,
    whatever it is called (`AUTH_URL=http://localhost:3000`)."""
    if not value:
        return False
    if password_in(value) is not None:
        return True
    if is_named_secret(name):
        return _ADDRESS_WITHOUT_USER.fullmatch(value) is None or not _is_ordinary(value)
    return len(value) >= CHARACTERS_MIN and not _is_ordinary(value)


def is_everyday(value: str) -> bool:
    """Whether a secret of this value can't be told from any other word of a log: it is short, or nothing but words that
    every log is full of."""
    if len(value) < CHARACTERS_MIN:
        return True
    words = _BETWEEN.split(value)
    return password_in(value) is None and all(
        word.lower() in _EVERYDAY or _EVERYDAY_NUMBER.fullmatch(word) is not None for word in words
    )


def _is_ordinary(value: str) -> bool:
    return all(_ORDINARY.fullmatch(word) is not None for word in _BETWEEN.split(value))
