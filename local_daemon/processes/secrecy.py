"""Which settings are secrets, and which secrets look like any other word: what is redacted, and where.

An environment file holds more settings than secrets, and a log in which every `localhost` is replaced can't be read. A
setting is a secret by its name (`API_KEY`), by a password in it, or because its value is not made of ordinary
words; in doubt it is one. A secret that is itself an everyday word (`DB_PASSWORD=postgres`) is told from it only by
what stands around it. Pure. Called by `capture`, `worktrees/environment_files.py`, `policies/secrets.py`.
Tests: tests/unit/daemon/processes/test_secrecy.py.
"""

import re
from urllib import parse

CHARACTERS_MIN = 6
"""A shorter value stands in any log by chance."""

_NAMED = re.compile(
    r"KEY|TOKEN|SECRET|PASS|PHRASE|PW|CRED|DSN|AUTH(?!ORS?(?:_|$))|SALT|MNEMONIC|SEED|COOKIE|LICEN[CS]E"
    r"|(?:^|[_.-])(?:PIN|PAT|OTP|CODES?)(?:[_.0-9-]|$)",
    re.IGNORECASE,
)

# A password may hold an `@`; one with a sign that would end an address is one where no port stands in its place.
_PASSWORD = re.compile(r"://(?:[^/?#:\s]*:([^/?#\s]+)@|[^/?#:@\[\s]*:(?![0-9]*[/?#])([^@\s]+)@)")
_ASSIGNED = re.compile(
    r"(?:password|passwd|pwd|secret|key|token)\s*=\s*(?:\"([^\"]+)\"|'([^']+)'|(?=([^;\r\n]+))([^;&,\s]+))",
    re.IGNORECASE,
)
_ADDRESS_WITHOUT_USER = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^@?#]*")

# What stands between ordinary words; any other sign (`!`, `$`, `%`, `#`, `&`) belongs to a word, which then is none.
_BETWEEN = re.compile(r"""[-_./:,;=@+~*|\\()\[\]{}"'\s]+""")
# A number, a word in one case or with a capital, or a little of both (`utf8`, `x86`, `v1`, `30s`, `sha256`). So sixteen
# letters and digits in a row are never ordinary, and neither are letters and digits, or cases, mixed at random.
_ORDINARY = re.compile(r"[0-9]{1,8}|[A-Za-z]?[a-z]{0,14}|[A-Z]{1,15}|[A-Za-z]{1,4}[0-9]{1,3}|[0-9]{1,4}[A-Za-z]{1,3}")

_EVERYDAY = frozenset(
    """
    true false yes no on off null none nil undefined enabled disabled default auto always never
    dev devel develop development stage staging prod production release test tests testing ci example sample demo
    local localhost host http https tcp com org net io www public private internal external main master
    debug info notice warn warning error fatal critical trace verbose silent quiet
    root admin administrator user username guest anonymous nobody password secret
    postgres postgresql mysql mariadb mongo mongodb redis sqlite rabbitmq amqp elastic database db
    app application web api server client service worker session cookie bearer basic oauth jwt
    utf ascii utc en us json yaml html text plain file memory 127.0.0.1 0.0.0.0
    """.split()
)
"""What a log is full of, whatever a setting says."""

_SERVER = re.compile(r"(?:[a-z]{2,10}://)?([A-Za-z0-9.]+)(?::[0-9]{1,5})?/?")
"""A word alone, or as the host of an address."""


def is_named_secret(name: str) -> bool:
    """Whether a setting of this name is meant to be kept secret."""
    return _NAMED.search(name) is not None


def passwords_in(value: str) -> tuple[str, ...]:
    """The passwords that stand in a setting: in addresses (`postgres://user:password@host/`), as written and as meant
    (`%40` is `@`), and behind a word that says so (`Server=db;Password=…;`)."""
    found: list[str | None] = []
    for address in _PASSWORD.finditer(value):
        password = address[1] or address[2]
        found += (password, parse.unquote(password))
    for assigned in _ASSIGNED.finditer(value):
        # Only who reads it knows where it ends: both readings count.
        found += (part and part.strip() for part in assigned.groups())
    return tuple(dict.fromkeys(filter(None, found)))


def is_secret(name: str, value: str) -> bool:
    """Whether this setting of an environment file is a secret. An address of ordinary words that names no user is none,
    whatever it is called (`AUTH_URL=http://localhost:3000`)."""
    if not value:
        return False
    if passwords_in(value):
        return True
    if is_named_secret(name):
        return _ADDRESS_WITHOUT_USER.fullmatch(value) is None or not _is_ordinary(value)
    return len(value) >= CHARACTERS_MIN and not _is_ordinary(value)


def is_everyday(value: str) -> bool:
    """Whether a secret of this value can't be told from any other word of a log: it is short, or one word that every
    log is full of, be it a server's name with its port. In doubt it can be told: it was called a secret."""
    if len(value) < CHARACTERS_MIN:
        return True
    server = _SERVER.fullmatch(value)
    return server is not None and server[1].lower() in _EVERYDAY


def _is_ordinary(value: str) -> bool:
    return all(_ORDINARY.fullmatch(word) is not None for word in _BETWEEN.split(value))
