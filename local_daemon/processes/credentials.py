"""What a credential looks like: the shapes by which one is known that nobody told us of, and taking them out of a log.

The one home of the shapes: `policies/secrets.py` names those that open a gate in a patch, `capture.py` redacts them
all. A net with wide meshes, to catch the usual accident; no proof of absence (what is known is `secrecy.py`'s).
Every shape has a fixed beginning and an end in sight, so a search is linear, most logs cost no more than a look for
beginnings, and what is held back of a stream is little. Pure. Tests: tests/unit/daemon/processes/test_credentials.py.

Of a private key is not recognised: lines with words behind them or markup (`rg --json`, `<br>`) or with more than 200
bytes before them, lines of under 40 characters behind more than spaces and numbers, other writings (hex, URL-safe).
"""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

_HELD_BYTES_MAX = 16 * 1024
"""No shape is looked for further than this, so what begins further back is decided."""

_CONTEXT_BYTES = 8
"""What stands before a shape that tells whether it begins one."""

_BEGINS = rb"(?:(?<![0-9A-Za-z_])|(?<=\\[nrtbf])|(?<=[0-9;\[]m))"
"""A word begins here: also behind an escaped line end, and behind a colour."""

_TOKEN_GOES_ON = rb"[0-9A-Za-z_-]{0,600}+"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One kind of credential. Of its `pattern` the first group that matched is the secret, else all of it. All three
    are sources: they are compiled when first used, which a daemon that is starting does not wait for."""

    name: str
    beginnings: tuple[bytes, ...]
    """One of them is how each begins; in small letters where it `is_any_case`."""
    pattern: bytes
    goes_on: bytes
    """What may still become one, or a longer one, at the end of a text."""
    sign: bytes | None
    """What in a patch is reason enough to ask a person; None where that would be too often."""
    is_any_case: bool


def _token(name: str, *beginnings: bytes, body: bytes) -> Shape:
    begun = b"(?:" + b"|".join(beginnings) + b")"
    pattern = _BEGINS + begun + body
    return Shape(
        name=name,
        beginnings=beginnings,
        pattern=pattern,
        goes_on=_BEGINS + begun + _TOKEN_GOES_ON + rb"\Z",
        sign=pattern,
        is_any_case=False,
    )


def _said(name: str, *beginnings: bytes, pattern: bytes, goes_on: bytes) -> Shape:
    """One that is known by what stands before it."""
    return Shape(
        name=name,
        beginnings=beginnings,
        pattern=pattern,
        goes_on=goes_on + rb"\Z",
        sign=None,
        is_any_case=True,
    )


# An end of a line or a tab as JSON escapes it, be it JSON in JSON in JSON, and a quote.
_ESCAPED = rb"\\{1,7}[nrt]"
_QUOTE = rb"\\{0,7}[\"']"
_KEY_HEADER_BEGINS = rb"[A-Z][A-Za-z-]{2,20}: "
_LINE_NUMBER = rb"[0-9]{1,6}(?:[\t :|-]|\xe2\x86\x92|\\{1,7}(?:t|u2192))"
"""As `cat -n`, `grep -n` and the tools of executors print it before a line."""

# Between the lines of a key: line ends, escaped or not, and what a list, a table or a listing puts at their sides, a
# diff, or the source of a program. What a `+` or a `-` stands before tells that it is none of the line's own.
_SIDE = (
    _ESCAPED + rb"|[ \t|>]|\+(?=[\s\\\"']|-----END |" + _KEY_HEADER_BEGINS + rb")|-(?=[\s\\0-9A-Za-z+/=]|-----END )|"
    + _LINE_NUMBER
)  # fmt: skip
_BETWEEN_ANY = rb"(?:" + _SIDE + rb"|" + _QUOTE + rb"|[\s,]){1,24}+"
# A quote and a comma on one line: the text is over, and another one begins.
_BETWEEN = (
    rb"(?:(?=(?:" + _SIDE + rb"|" + _QUOTE + rb"|,){0,23}+[\r\n])" + _BETWEEN_ANY
    + rb"|(?:" + _SIDE + rb"|[\s,]){1,24}+|(?:" + _SIDE + rb"|" + _QUOTE + rb"|\s){1,24}+)"
)  # fmt: skip
# Where already the first line is a text of its own, all are, as a list of them is printed.
_LISTED = (
    rb"(?=(?:" + _ESCAPED + rb"){0,2}" + _QUOTE + rb"[ \t]{0,4},(?:\s|" + _ESCAPED + rb"|" + _LINE_NUMBER + rb"){0,24}+"
    + _QUOTE + rb")"
)  # fmt: skip
_BASE64 = rb"[A-Za-z0-9+/=]"
# What a program puts around the lines that it shows: a colour, and anything but words behind one; before one a path,
# a number, a sign of a comment, a frame, an indent, whatever they are.
_LINE_END = rb"(?:[\r\n]|\\{1,7}[nr]){1,4}+"
_BEHIND_LINE = (
    rb"(?:(?:\x1b|\\{1,7}u001b)\[[0-9;]{0,8}[mK]|[^A-Za-z0-9\r\n\\]|\\{1,7}+(?![nr]|u001b)){0,64}+"
)  # fmt: skip
_IN_LINE = rb"(?:[^\r\n\\]|\\{1,7}+(?![nr]))"
# The next line as far as its own text, which begins where a word does, or behind a tab, an arrow or a colour.
_LED = (
    rb"(?:" + _BEHIND_LINE + _LINE_END + rb"){1,3}+(?!" + _QUOTE + rb"[ \t]{0,4},)" + _IN_LINE + rb"{0,200}?"
    + rb"(?:(?<!" + _BASE64 + rb")|(?<=\\t)|(?<=\\u2192)|(?<=[0-9;\[]m)|(?<=\[K))"
)  # fmt: skip
# Shown so, a line of a key is all that there is in the rest of its line.
_LED_LINE = (
    _LED + rb"(?=" + _BASE64 + rb"{40,8192}+" + _BEHIND_LINE + rb"(?:" + _LINE_END + rb"|\Z)|" + _KEY_HEADER_BEGINS
    + rb")"
)  # fmt: skip
_KEY_BEGINS = rb"-----BEGIN (?:[A-Z0-9]{2,10} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
_KEY_ENDS = rb"-----END (?:[A-Z0-9]{2,10} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
# One ends with its line. Where a key stands on one line, what comes next shows where.
_KEY_HEADER = (
    _KEY_HEADER_BEGINS + rb"(?:[^ ,\r\n\\\"'-]|-(?!----)|[ ,](?!" + _KEY_HEADER_BEGINS + rb"|[ ,]{0,4}" + _BASE64
    + rb"{40})){1,120}+"
)  # fmt: skip


def _key_body(between: bytes) -> bytes:
    """All lines behind the first, as far as they go, and the last where it is there."""
    between = rb"(?:" + between + rb"|" + _LED_LINE + rb")"
    ends = rb"(?![.:_-]?" + _BASE64 + rb")"  # What goes on so is a path, or what else stands before a line.
    line = _BASE64 + rb"{40,8192}+" + ends
    short = _BASE64 + rb"{1,100}+" + ends
    empty = rb"(?:" + _BEHIND_LINE + rb"(?:" + _LINE_END + _IN_LINE + rb"{0,200}+){1,2}?(?=" + _LINE_END + rb"))??"
    few_lines = _BEHIND_LINE + rb"(?:" + _LINE_END + _IN_LINE + rb"{0,240}?){1,6}?"
    return (
        rb"(?:(?:" + between + _KEY_HEADER + rb")++" + empty + rb")?"
        rb"(?=" + between + _BASE64 + rb"{16,8192}+" + ends + rb")(?:" + between + line + rb")*"
        rb"(?:(?:(?:" + between + short + rb"){0,3}" + between + rb"|" + few_lines + rb")" + _KEY_ENDS + rb")?"
    )  # fmt: skip


_PRIVATE_KEY = _KEY_BEGINS + rb"(?:" + _LISTED + _key_body(_BETWEEN_ANY) + rb"|" + _key_body(_BETWEEN) + rb")"
_KEY_FOLLOWS = (
    rb"(?=" + _BETWEEN_ANY + rb"(?:" + _BASE64 + rb"{16}|" + _KEY_HEADER + rb")"
    rb"|" + _LED + rb"(?:" + _BASE64 + rb"{40}|" + _KEY_HEADER_BEGINS + rb"))"
)  # fmt: skip
_KEY_GOES_ON = (
    rb"-----BEGIN (?:[A-Z0-9 ]{0,40}-{0,5}|[A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----(?:[\s\S]{0,600}|" + _KEY_FOLLOWS
    + rb"(?:[^-]++|-(?!----(?:END|BEGIN) ))*+(?:-----END [A-Z0-9 ]{0,40}-{0,4})?))\Z"
)  # fmt: skip

_VALUE = rb"[^\s\"'`,;&(){}\[\]<>|\\$*=%]"
# What stands in the place of a password where there is none: a word of a program, a part of one, or a mark.
_NO_VALUE = (
    rb"(?!(?:none|null|nil|true|false|undefined|str|string|bytes|int|any|optional|required|missing|x+|\.+|\[redacted"
    rb"|[a-z_]*(?:password|passwd|passphrase|secret|token|key)|[a-z_]+(?:\.[a-z_]+)+)(?![A-Za-z0-9!@#^~+/-]))"
)
# A token is one only where it is said whose: programs that read other programs have many.
_WHOSE_TOKEN = rb"(?:(?<=auth)|(?<=access)|(?<=refresh)|(?<=auth[_-])|(?<=access[_-])|(?<=refresh[_-]))token"
_ASSIGNED_NAMES = (
    rb"(?:password|passwd|passphrase|secret(?:[_-]?(?:access[_-]?)?key)?|api[_-]?key|" + _WHOSE_TOKEN + rb")"
)

SHAPES: tuple[Shape, ...] = (
    Shape(
        name="a private key",
        beginnings=(b"-----BEGIN ",),
        pattern=_PRIVATE_KEY,
        goes_on=_KEY_GOES_ON,
        sign=_KEY_BEGINS,
        is_any_case=False,
    ),
    _token("an AWS access key", b"AKIA", b"ASIA", body=rb"[0-9A-Z]{16}(?![0-9A-Za-z_])"),
    _token("a GitHub token", b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", body=rb"[0-9A-Za-z]{36,255}"),
    _token("a GitHub token", b"github_pat_", body=rb"[0-9A-Za-z_]{60,255}"),
    _token("a GitLab token", b"glpat-", body=rb"[0-9A-Za-z_-]{20,255}"),
    _token("a Slack token", b"xox", body=rb"[abeoprs]-[0-9A-Za-z-]{20,255}"),
    _token("a Google API key", b"AIza", body=rb"[0-9A-Za-z_-]{35}"),
    _token("an Anthropic key", b"sk-ant-", body=rb"[0-9A-Za-z_-]{24,512}"),
    _token("an OpenAI key", b"sk-proj-", b"sk-svcacct-", b"sk-admin-", body=rb"[0-9A-Za-z_-]{24,512}"),
    _token("a Stripe key", b"sk_live_", b"rk_live_", body=rb"[0-9A-Za-z]{20,255}"),
    _token("an npm token", b"npm_", body=rb"[0-9A-Za-z]{36}(?![0-9A-Za-z_])"),
    Shape(
        name="a JSON web token",
        beginnings=(b"eyJ",),
        pattern=_BEGINS + rb"eyJ[0-9A-Za-z_-]{8,4096}\.eyJ[0-9A-Za-z_-]{8,8192}\.[0-9A-Za-z_-]{16,2048}",
        goes_on=_BEGINS + rb"eyJ[0-9A-Za-z_-]{0,4096}+(?:\.[0-9A-Za-z_-]{0,8192}+){0,2}+\Z",
        sign=None,
        is_any_case=False,
    ),
    _said(
        "a password",
        b"://",
        pattern=rb"://[^\s/?#:@\"'<>\\\[\]]{0,64}:(?![$*<{%\[])([^\s/?#@\"'<>\\]{1,200})@(?=[^\s@])",
        goes_on=rb"://[^\s/?#\"'<>\\]{0,300}",
    ),
    _said(
        "a bearer token",
        b"bearer",
        pattern=_BEGINS + rb"bearer[ \t]{1,4}((?=[a-z._~+/-]{0,256}[0-9])[0-9a-z._~+/=-]{8,2048})",
        goes_on=rb"bearer[ \t]{0,4}[0-9a-z._~+/=-]{0,2048}",
    ),
    _said(
        "an authorization",
        b"authorization",
        pattern=rb"authorization(?:" + _QUOTE + rb")?[ \t]{0,4}[:=][ \t]{0,4}(?:" + _QUOTE + rb")?"
        rb"(?:basic|bearer|token|apikey)[ \t]{1,4}([0-9a-z._~+/=-]{8,2048})",
        goes_on=rb"authorization[\\\"' \t:=]{0,20}[a-z]{0,6}[ \t]{0,4}[0-9a-z._~+/=-]{0,2048}",
    ),
    _said(
        "a password or key",
        b"passw", b"passphrase", b"secret", b"apikey", b"api_key", b"api-key", b"token",
        pattern=_ASSIGNED_NAMES + rb"(?:" + _QUOTE + rb")?[ \t]{0,4}(?:"
        rb"(?:=>?|:=?)[ \t]{0,4}" + _QUOTE + rb"(?![$<{%*\[])" + _NO_VALUE + rb"([^\"'\r\n\\]{1,1000})" + _QUOTE
        + rb"|=[ \t]{0,4}(?![~.@/]+[\s])" + _NO_VALUE + rb"(" + _VALUE + rb"{3,1000}+)(?![(\[{$])"
        rb"|:[ \t]{1,4}" + _NO_VALUE + rb"(?=" + _VALUE + rb"{0,256}[0-9!@#^])(" + _VALUE + rb"{6,1000}+)(?![(\[{$]))",
        goes_on=rb"(?:passw|passphrase|secret|api[_-]?key|" + _WHOSE_TOKEN + rb")[a-z_-]{0,20}"
        rb"\\{0,7}[\"']?[ \t]{0,4}(?:[=:][^\r\n]{0,1060})?",
    ),
)  # fmt: skip
"""What each is called, and what it looks like; of two that begin at one place the first tells which it is."""

_PARTS = frozenset(
    beginning[:length] for shape in SHAPES for beginning in shape.beginnings for length in range(1, len(beginning))
)
_PART_BYTES_MAX = max(map(len, _PARTS))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    begins: int
    start: int
    end: int
    until: int
    mark: bytes


def is_signed(shape: Shape, text: bytes) -> bool:
    """Whether a text seems to hold such a credential, be it only its first line."""
    if shape.sign is None:
        return False
    return any(_compiled(shape.sign, shape.is_any_case).match(text, at) for at in _beginnings(shape, text, 0))


def is_begun(text: bytes) -> bool:
    """Whether anything in it begins like a credential: whatever else there is costs next to nothing to look through."""
    small = text.lower()
    return any(
        beginning in (small if shape.is_any_case else text) for shape in SHAPES for beginning in shape.beginnings
    )


class Redaction:
    """A stream from which credentials are taken out. What may still become one is held back, at most 16 KiB."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._held = b""
        self._before = b""

    @property
    def is_holding(self) -> bool:
        """Whether anything is held back by now, which the next chunk is looked through with."""
        return bool(self._held)

    def feed(self, chunk: bytes, *, is_last: bool) -> Iterator[bytes]:
        """What can be said once this has come."""
        text = self._before + self._held + chunk
        done = len(self._before)
        small = text.lower()
        found = list(_found(text, small, done))
        decided = len(text) if is_last else _undecided_from(text, small, done)
        # From behind: what one of them takes back may have cut through another, which began before it.
        for each in sorted(found, key=lambda one: one.begins, reverse=True):
            # What goes on into what is undecided is decided with it.
            if each.begins < decided < each.until:
                decided = each.begins
        for each in found:
            if each.begins >= decided:
                continue
            if each.start >= done:
                yield text[done : each.start]
                yield each.mark
            done = max(done, each.end)
        yield text[done:decided]
        self._held = text[decided:]
        self._before = text[max(0, decided - _CONTEXT_BYTES) : decided]


def _found(text: bytes, small: bytes, start: int) -> list[_Found]:
    """What looks like a credential, by where the secret of it begins."""
    found: list[tuple[int, int, _Found]] = []
    for rank, shape in enumerate(SHAPES):
        ended = start
        for at in _beginnings(shape, small if shape.is_any_case else text, start):
            if at < ended:
                continue
            # As far as is ever held back: beyond it, what was decided would depend on how much had come by then.
            match = _compiled(shape.pattern, shape.is_any_case).match(text, at, at + _HELD_BYTES_MAX)
            if match is not None:
                group, ended = match.lastindex or 0, match.end()
                each = _Found(
                    begins=at,
                    start=match.start(group),
                    end=match.end(group),
                    until=ended,
                    mark=f"[redacted:{shape.name}]".encode(),
                )
                found.append((each.start, rank, each))
    return [each for _, _, each in sorted(found, key=lambda one: one[:2])]


def _undecided_from(text: bytes, small: bytes, start: int) -> int:
    start = max(start, len(text) - _HELD_BYTES_MAX)
    decided = len(text)
    for length in range(min(_PART_BYTES_MAX, len(text) - start), 0, -1):
        if small[-length:] in _PARTS or text[-length:] in _PARTS:
            decided = len(text) - length
            break
    for shape in SHAPES:
        for at in _beginnings(shape, small if shape.is_any_case else text, start):
            if at < decided and _compiled(shape.goes_on, shape.is_any_case).match(text, at) is not None:
                decided = at
                break
    return decided


@functools.cache
def _compiled(source: bytes, is_any_case: bool) -> re.Pattern[bytes]:
    return re.compile(source, re.IGNORECASE if is_any_case else 0)


def _beginnings(shape: Shape, text: bytes, start: int) -> Iterator[int]:
    places = []
    for beginning in shape.beginnings:
        at = text.find(beginning, start)
        while at >= 0:
            places.append(at)
            at = text.find(beginning, at + 1)
    return iter(sorted(places)) if len(places) > 1 else iter(places)
