"""Which settings are secrets, and which secrets look like any other word: what is redacted, and where.

An environment file holds more settings than secrets, and a log in which every `localhost` is replaced can't be read. A
setting is a secret by its name (`API_KEY`), by a password in it, or because its value is not made of ordinary
words; in doubt it is one. A secret that is itself an everyday word (`DB_PASSWORD=postgres`) is told from it only by
what stands around it. Pure. Called by `capture`, `worktrees/environment_files.py`, `policies/secrets.py`.
Tests: tests/unit/daemon/processes/test_secrecy.py.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from urllib import parse

CHARACTERS_MIN = 6
"""A shorter value stands in any log by chance."""

KEY_CHARACTERS_MIN = 16
"""So many characters that make no words are no name of anything."""

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
_ADDRESS = re.compile(r"://(?:([^/?#:@\s]*)(?::[^/?#@\s]*)?@)?[^/?#\s]*((?:(?!://)[^?#\s])*)((?:(?!://)\S)*)")
_STEP = re.compile(r"[^/?#&=;,\"']+")
"""A step of an address's path, or a name or a value of its query."""

_HOST_AND_PATH = re.compile(r"(?<=://)(?![^/?#\s]*@)[^?#\s]*")
"""Of an address that names no user."""

# What says of itself that it is public, by what stands before it: a commit, an image's digest, whose account it is. A
# UUID after anything else may be a key (`https://ping.example.com/8c6a…`), and so may forty digits.
_WHOSE = "tenant|project|organi[sz]ation|org|account|user|team|workspace|customer|subscription|client"
_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_SAID_ID = re.compile(
    r"("
    r"(?:/(?:commits?|blob|tree|blame|raw|archive|tarball|zipball|tar\.gz)/|\.git[@#]|\bgit\+[a-z]+://[^/\s]+/[^\s@]+@"
    r"|://raw\.githubusercontent\.com/[^/\s]+/[^/\s]+/)(?=[0-9a-f]{40}(?![0-9A-Za-z_-]))"
    r"|@sha256:(?=[0-9a-f]{64}(?![0-9A-Za-z_-]))"
    rf"|(?:/(?:{_WHOSE})s?/|://login\.microsoftonline\.com/)(?={_UUID}(?![0-9A-Za-z_-]))"
    r")[0-9a-f-]+",
    re.IGNORECASE,
)

_ADDRESS_WITHOUT_USER = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^@?#]*")

# What stands between ordinary words; any other sign (`!`, `$`, `%`, `#`, `&`) belongs to a word, which then is none.
_BETWEEN = re.compile(r"""[-_./:,;=@+~*|\\()\[\]{}"'\s]+""")
# A number, a word in one case or with a capital, or a little of both (`utf8`, `x86`, `v1`, `30s`, `sha256`). So sixteen
# letters and digits in a row are never ordinary, and neither are letters and digits, or cases, mixed at random.
_ORDINARY = re.compile(r"[0-9]{1,8}|[A-Za-z]?[a-z]{0,14}|[A-Z]{1,15}|[A-Za-z]{1,4}[0-9]{1,3}|[0-9]{1,4}[A-Za-z]{1,3}")

_WORD_CHARACTERS_MAX = 15
_NAME = re.compile(r"([A-Za-z]+)[0-9]{0,4}")
_HUMP = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_HUMP_CHARACTERS = 4
"""A name of several words (`getAllTheUserAccounts`) has so many letters a word at least; letters at random, fewer."""

_LONG_WORD = re.compile(
    r"(?:(?<![A-Za-z])[a-z]|[A-Z])(?=[a-z]{15,27}(?![a-z]))"
    r"(?![a-z]*[bcdfghjklmnpqrstvwxz]{5})(?![a-z]*[aeiou]{4})(?![a-z]*([a-z])\1\1)"
    r"[a-z]+(?:[aist]ion(?:s|al|ally)?|ments?|ness|[ae]nces?|log(?:y|ies|ical)|it(?:y|ies)|currenc(?:y|ies)|ings?"
    r"|i[sz]e[drs]?|[ai]bles?|ically|(?:iv|at|ous)e?ly|[ai]tives?|ships?|services?|servers?|gateways?|hooks?|callbacks?"
    r"|managers?|controllers?|providers?|dashboards?|platforms?|endpoints?|catalogs?|repositor(?:y|ies))(?![a-z])"
)
"""A word longer than others (`internationalization`): it can be pronounced, and ends as long words do. Of sixteen small
letters at random so few look like it (one in ten thousand) that it may stand as a step of a path."""

_WORD = "Word"

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


def keys_in(value: str) -> tuple[str, ...]:
    """The keys that stand in the addresses of a setting: as the user, as a step of the path or a value of the query, as
    written and as meant. Who calls an address names them alone (`POST /services/T0/…`)."""
    found: list[str] = []
    for address in _ADDRESS.finditer(_SAID_ID.sub(r"\1", value)):
        user, path, query = address.groups(default="")
        found += _keys_among([user], _is_key)
        found += _keys_among(_STEP.findall(path), _is_key_as_step)
        found += _keys_among(_STEP.findall(query), _is_key)
    return tuple(dict.fromkeys(found))


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
    value = _HOST_AND_PATH.sub(lambda found: _LONG_WORD.sub(_WORD, found[0]), _SAID_ID.sub(r"\1", value))
    return all(_ORDINARY.fullmatch(word) is not None for word in _BETWEEN.split(value))


def _keys_among(parts: Iterable[str], is_key: Callable[[str], bool]) -> Iterator[str]:
    for part in parts:
        meant = parse.unquote(part)
        if is_key(meant):
            yield part
            yield meant


def _is_key_as_step(part: str) -> bool:
    return _is_key(_LONG_WORD.sub(_WORD, part))


def _is_key(part: str) -> bool:
    """Whether so much of it makes no words that it can't be the name of a page, a table or a release."""
    unknown = (word for word in _BETWEEN.split(part) if not (_ORDINARY.fullmatch(word) or _is_name(word)))
    # Words of other scripts are not known here; keys are made of this one.
    return sum(len(word) for word in unknown if word.isascii()) >= KEY_CHARACTERS_MIN


def _is_name(word: str) -> bool:
    named = _NAME.fullmatch(word)
    if named is None:
        return False
    humps = _HUMP.findall(named[1])
    return len(humps) * _HUMP_CHARACTERS <= len(named[1]) and max(map(len, humps)) <= _WORD_CHARACTERS_MAX
