"""What looks like a credential doesn't stay in a log, wherever the stream is cut; what only resembles one does."""

import itertools

import pytest

from local_daemon.processes import credentials

KEY_LINES = [b"Ab1+" * 16] * 5 + [b"Zz9/" * 4 + b"Q=="]
TOKENS = {
    "a GitHub token": [b"ghp_" + b"a1" * 18, b"github_pat_" + b"a1" * 35],
    "an AWS access key": [b"AKIA" + b"ABCDEFGHIJKLMNOP", b"ASIA" + b"ABCDEFGHIJKLMNOP"],
    "a GitLab token": [b"glpat-" + b"a1" * 10],
    "a Slack token": [b"xoxb-" + b"1234567890-abcdefghij"],
    "a Google API key": [b"AIza" + b"a1b" * 11 + b"xy"],
    "an Anthropic key": [b"sk-ant-" + b"api03-" + b"a" * 40],
    "an OpenAI key": [b"sk-proj-" + b"a1-" * 10],
    "a Stripe key": [b"sk_live_" + b"a" * 24],
    "an npm token": [b"npm_" + b"a1" * 18],
    "a JSON web token": [
        b"eyJhbGciOiJIUzI1NiJ9." + b"eyJzdWIiOiIxMjM0NTY3ODkwIn0." + b"dozjgNryP4J3jVmNHl0w5N_XgL0n3I9"
    ],
}


def key(begin: bytes, lines: list[bytes], *, line_end: bytes = b"\n", prefix: bytes = b"") -> bytes:
    dashes = b"-----"
    return line_end.join(
        (
            dashes + b"BEGIN " + begin + dashes,
            *(prefix + line for line in lines),
            prefix + dashes + b"END " + begin + dashes,
        )
    )


def redacted(text: bytes, *, cuts: tuple[int, ...] = ()) -> bytes:
    """The text as it leaves, having come in the pieces that these places make of it."""
    stream = credentials.Redaction()
    places = (0, *cuts, len(text))
    pieces = [b"".join(stream.feed(text[a:b], is_last=False)) for a, b in itertools.pairwise(places)]
    return b"".join(pieces) + b"".join(stream.feed(b"", is_last=True))


def mark(name: str) -> bytes:
    return f"[redacted:{name}]".encode()


@pytest.mark.parametrize(("name", "token"), [(name, token) for name, tokens in TOKENS.items() for token in tokens])
@pytest.mark.parametrize(
    "around", [b"%s", b"-%s\n", b"+%s\n", b"token is %s.", b'"%s"', b"\\n%s\\n", b"\x1b[31m%s\x1b[0m", b"TOKEN=%s\n"]
)
def test_a_token_goes_whole_and_what_stands_around_it_stays(name: str, token: bytes, around: bytes) -> None:
    assert redacted(around % token) == around % mark(name)


SAID = [
    (b"Authorization: Bearer %s", b"abc123def456", "a bearer token"),
    (b"curl -H 'authorization: bearer %s' https://example.com", b"abc123.def-456=", "a bearer token"),
    (b'"Authorization": "Basic %s"', b"dXNlcjpwYXNz", "an authorization"),
    (b"password=%s and more", b"hunter2", "a password or key"),
    (b"DB_PASSWORD=%s\n", b"tiger", "a password or key"),
    (b'{"password": "%s", "port": 5}', b"of three words", "a password or key"),
    (b'{\\"password\\":\\"%s\\"}', b"hunter2", "a password or key"),
    (b"password: %s\n", b"hunter2", "a password or key"),
    (b"AWS_SECRET_ACCESS_KEY=%s", b"wJalrXUtnFEMI/K7MDENG/bPxRfiCY", "a password or key"),
    (b"api_key = '%s'", b"0123abcd", "a password or key"),
    (b"?access_token=%s&page=2", b"tiger", "a password or key"),
    (b"postgres://u:%s@h/db", b"p", "a password"),
    (b"amqps://:%s@broker:5671", b"hunter2", "a password"),
]


@pytest.mark.parametrize(("around", "secret", "name"), SAID)
def test_what_is_said_to_be_a_secret_goes_and_what_says_it_stays(around: bytes, secret: bytes, name: str) -> None:
    assert redacted(around % secret) == around % mark(name)


@pytest.mark.parametrize(
    "begin", [b"PRIVATE KEY", b"RSA PRIVATE KEY", b"OPENSSH PRIVATE KEY", b"PGP PRIVATE KEY BLOCK"]
)
@pytest.mark.parametrize(
    ("line_end", "prefix"), [(b"\n", b""), (b"\r\n", b""), (b"\\n", b""), (b"\n", b"  | "), (b" ", b"")]
)
def test_a_private_key_goes_with_all_of_its_lines(begin: bytes, line_end: bytes, prefix: bytes) -> None:
    text = key(begin, KEY_LINES, line_end=line_end, prefix=prefix)
    assert redacted(b"before\n" + text + b"\nafter") == b"before\n" + mark("a private key") + b"\nafter"


def test_a_private_key_goes_with_its_headers_and_where_it_was_cut_off() -> None:
    headers = [b"Proc-Type: 4,ENCRYPTED", b"DEK-Info: AES-128-CBC,0123", b""]
    assert redacted(key(b"RSA PRIVATE KEY", [*headers, *KEY_LINES])) == mark("a private key")
    cut = key(b"RSA PRIVATE KEY", KEY_LINES).partition(b"Zz9")[0]
    assert redacted(cut + b"(and so on)") == mark("a private key") + b"\n(and so on)"


@pytest.mark.parametrize("lines", [[], KEY_LINES[:5]])
def test_what_a_log_says_behind_a_key_that_was_cut_off_stays(lines: list[bytes]) -> None:
    begun = b"\n".join((b"-----BEGIN " + b"RSA PRIVATE KEY-----", *lines))
    rest = b"\nError: build failed\nTests: 3 passed, 1 failed\n"
    assert redacted(begun + rest) == (mark("a private key") if lines else begun) + rest


def test_a_private_key_on_one_line_goes_with_its_headers() -> None:
    headers = [b"Version: GnuPG v2", b"Comment: https://gnupg.org is home", b"Hash: SHA512"]
    one_line = key(b"PGP PRIVATE KEY BLOCK", [*headers, *KEY_LINES], line_end=b" ")
    assert redacted(one_line + b" and more") == mark("a private key") + b" and more"
    headers = [b"Proc-Type: 4,ENCRYPTED", b"DEK-Info: AES-128-CBC,0123456789ABCDEF", b""]
    one_line = key(b"RSA PRIVATE KEY", [*headers, *KEY_LINES], line_end=b",")
    assert redacted(one_line + b" and more") == mark("a private key") + b" and more"


LISTINGS = {
    "cat -n": b"%6d\t%s\n",
    "cat -n, in JSON": b"%6d\\t%s\\n",
    "arrows": "%6d→%s\n".encode(),
    "arrows, in JSON": "%6d→%s\\n".encode(),
    "arrows, in ASCII": b"%6d\\u2192%s\\n",
    "grep -n": b"%d:%s\n",
    "grep -n -C": b"%d-%s\n",
    "a table": b"%4d | %s\r\n",
    "a frame": "│%3d │ %s             │\n".encode(),
    "grep -rn": b"key.pem:%d:%s\n",
    "grep -rn, in JSON": b"key.pem:%d:%s\\n",
    "grep -rn -C, far down": b"/home/someone/projects/program/configuration/key-%d-%s\r\n",
    "grep -rn --color": b"\x1b[35mkey.pem\x1b[m\x1b[36m:\x1b[m\x1b[32m%d\x1b[m\x1b[36m:\x1b[m%s\n",
    "grep -rn, of a program": b"key.py:%d:    '%s',\n",
    "a letter": b"L%d: %s\n",
    "a full stop": b"%d. %s\n",
    "a log": b"2026-11-22T06:11:03.%06dZ stdout F %s\n",
}


@pytest.mark.parametrize("listing", LISTINGS.values(), ids=LISTINGS)
def test_a_private_key_goes_that_is_listed_with_the_numbers_of_its_lines(listing: bytes) -> None:
    lines = key(b"OPENSSH PRIVATE KEY", KEY_LINES).split(b"\n")
    text = b"".join(listing % (number, line) for number, line in enumerate(lines, 98))
    before, _, after = listing.partition(b"%s")
    assert redacted(text) == before % 98 + mark("a private key") + after
    for place in range(0, len(text), 7):
        assert redacted(text, cuts=(place,)) == redacted(text), place


@pytest.mark.parametrize("side", [b"# ", b"// ", b" * ", b";", b" " * 40, b"key.pem-", b"web-1  | "])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\\n"])
def test_a_private_key_goes_whatever_stands_before_its_lines(side: bytes, line_end: bytes) -> None:
    lines = key(b"RSA PRIVATE KEY", [b"Proc-Type: 4,ENCRYPTED", b"DEK-Info: DES,01", b"", *KEY_LINES]).split(b"\n")
    text = b"".join(side + line + line_end for line in lines)
    assert redacted(text) == side + mark("a private key") + line_end


@pytest.mark.parametrize("side", [b"", b"# ", b"key.pem:1:"])
def test_what_stands_behind_a_listed_key_that_was_cut_off_stays(side: bytes) -> None:
    begun = key(b"RSA PRIVATE KEY", KEY_LINES[:5], line_end=b"\n" + side).partition(b"\n" + side + b"-----END")[0]
    rest = b"\nnotes.txt:7: see commit " + b"ab12" * 10 + b" for more\n" + b"ab12" * 16 + b"  notes.txt\n"
    assert redacted(begun + rest) == mark("a private key") + rest


@pytest.mark.parametrize("line_end", [b"\\" * count + b"n" for count in (1, 2, 3, 4, 7)])
def test_a_private_key_goes_however_often_it_was_escaped(line_end: bytes) -> None:
    assert redacted(key(b"PRIVATE KEY", KEY_LINES, line_end=line_end) + b"!") == mark("a private key") + b"!"


@pytest.mark.parametrize("side", [b"+", b"-", b" "])
def test_a_private_key_goes_from_a_diff(side: bytes) -> None:
    lines = key(b"EC PRIVATE KEY", [b"Proc-Type: 4,ENCRYPTED", b"", *KEY_LINES]).split(b"\n")
    text = b"".join(side + line + b"\n" for line in lines)
    assert redacted(text) == side + mark("a private key") + b"\n"


def lines_of(length: int) -> list[bytes]:
    return [bytes(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[(at * 7 + n) % 32] for n in range(64)) for at in range(length)]


@pytest.mark.parametrize("length", [139, 141, 200, 240])
def test_a_long_private_key_goes_with_all_of_its_lines(length: int) -> None:
    text = b"before\n" + key(b"PGP PRIVATE KEY BLOCK", [b"", *lines_of(length), b"=abcd"]) + b"\nafter"
    whole = b"before\n" + mark("a private key") + b"\nafter"
    assert redacted(text) == whole
    for step in (61, 1000, 4096):
        assert redacted(text, cuts=tuple(range(step, len(text), step))) == whole, step


@pytest.mark.parametrize("width", [64, 100, 8192])
def test_of_a_text_that_goes_on_like_a_key_all_goes_that_is_held_wherever_it_is_cut(width: int) -> None:
    begun = b"-----BEGIN " + b"PRIVATE KEY-----\n"
    text = b"before\n" + begun + (b"A" * width + b"\n") * (40_000 // width) + b"after"
    whole = redacted(text)
    assert whole.startswith(b"before\n" + mark("a private key"))
    assert len(text) - len(whole) >= 16_000 - 2 * min(width, 100)
    for step in (100, 1000, 4099, 16 * 1024, 20_000):
        assert redacted(text, cuts=tuple(range(step, len(text), step))) == whole, step


@pytest.mark.parametrize(
    "between",
    [
        b'"%s\\n",\n', b"'%s\\n', ", b'"%s",', b'"%s",\n  ', b"%s,\n", b'"%s" , ', b"'%s',\\n  ", b"'%s\\\\n',\\n ",
        b'\\"%s\\\\n\\", ', b'\\"%s\\\\n\\",\\n   \\"', b'  \\"%s\\",\\n     7\\t', b'"%s\\n" +\n    ', b"'%s' +\\n  ",
    ],
)  # fmt: skip
def test_a_private_key_goes_that_is_printed_as_a_list_of_lines(between: bytes) -> None:
    lines = key(b"RSA PRIVATE KEY", KEY_LINES).split(b"\n")
    cleaned = redacted(b"[" + b"".join(between % line for line in lines) + b"]")
    assert mark("a private key") in cleaned
    assert not any(line in cleaned for line in KEY_LINES)


@pytest.mark.parametrize("end", [b'\\n","', b'","', b"\\n', '", b'\\n", "', b'\\","', b'\\\\n\\", \\"'])
def test_what_follows_the_text_that_a_key_stands_in_stays(end: bytes) -> None:
    quote = end[-1:]
    begun = b"{" + quote + b"text" + quote + b":" + quote
    cut = b"-----BEGIN " + b"PRIVATE KEY-----\\n" + b"A" * 64
    rest = end + b"0123456789" * 4 + quote + b"]}"
    assert redacted(begun + cut + rest) == begun + mark("a private key") + rest


@pytest.mark.parametrize(
    "text",
    [
        b"if '-----BEGIN " + b"PRIVATE KEY-----' in text: refuse()",
        key(b"CERTIFICATE", KEY_LINES),
        b"commit " + b"ab12" * 10 + b" sha256:" + b"ab12" * 16,
        b"att_01jd2m8h5kq3v9x7c4n6b8t0wz step_01jd2m8h5kq3v9x7c4n6b8t0wz",
        b"123e4567-e89b-42d3-a456-426614174000",
        b"task-proj-notes, AKIA, sk-learn is fine, npm_config_registry",
        b"Enter password: ",
        b"password is required; password: required",
        b"def connect(password: str, secret: bytes) -> None:",
        b"connect(password=self.password, secret=get_secret(), api_key=os.environ['KEY'])",
        b"password=None password=password password=user_password password= password=''",
        b"assert password == 'x'",
        b"/etc/passwd:root:x:0:0:root:/root:/bin/bash",
        b"password=***** password=${PASSWORD} password=<yours> DB_PASSWORD=[redacted:DB_PASSWORD]",
        b'{"input_tokens": 1234, "next_token=abc": 1}',
        b"bearer of good news, Bearer authentication",
        b"https://${USER}:${TOKEN}@host http://localhost:3000/a@b ssh://git@host:22/x https://h/a:b@c",
        b"eyJhbGciOiJIUzI1NiJ9",
    ],
)
def test_what_is_no_credential_stays(text: bytes) -> None:
    assert redacted(text) == text


LOG = b" ".join(
    (
        *(token for tokens in TOKENS.values() for token in tokens),
        *(around % secret for around, secret, _ in SAID),
        b"if '-----BEGIN " + b"PRIVATE KEY-----' in text",
        b"password" * 3 + b"=x1y password=ghp_" + b"a1" * 18 + b"!rest; eyJ.eyJ.eyJ bearer bearer x1",
        key(b"EC PRIVATE KEY", KEY_LINES),
        b"https://user:ghp_" + b"a1" * 18 + b"@github.com AKIA" + b"ABCDEFGHIJKLMNOPQ postgres://a:b",
    )
)


def test_the_places_at_which_a_stream_is_cut_make_no_difference() -> None:
    whole = redacted(LOG)
    for place in range(len(LOG) + 1):
        assert redacted(LOG, cuts=(place,)) == whole, place
    for step in range(1, 40):
        assert redacted(LOG, cuts=tuple(range(step, len(LOG), step))) == whole, step


@pytest.mark.parametrize("length", [100, 2000, 5000])
def test_of_secrets_that_overlap_none_is_said_wherever_the_stream_is_cut(length: int) -> None:
    said = b"see https://access_token=tiger0123456789:pass@h/eyJ" + b"a" * length + b" and more"
    whole = redacted(said)
    assert b"tiger" not in whole
    for place in (51, 60, 100, 1000, length, len(said) - 10):
        assert redacted(said, cuts=(place,)) == whole, place


def test_an_ordinary_line_is_not_held_back() -> None:
    stream = credentials.Redaction()
    line = b"running 3 tests against http://localhost:3000/ with the password of the tests\n"
    assert b"".join(stream.feed(line, is_last=False)) == line


@pytest.mark.parametrize(
    "piece",
    [
        b"ghp_", b"eyJ", b"eyJaaaaaaaa.", b"password=", b"password: ", b"://a:", b"-----BEGIN " + b"PRIVATE KEY-----",
        b"-----BEGIN " + b"PRIVATE KEY-----\n" + b"A" * 39 + b"\n", b"-----BEGIN " + b"PRIVATE KEY-----\nAAA: ",
        b"-----BEGIN " + b"PRIVATE KEY-----\n" + b"Aaa: b " * 60, b"-----BEGIN " + b"PRIVATE KEY-----\n" + b"1\t" * 90,
        b"'-----BEGIN " + b"PRIVATE KEY-----', " + b"\\" * 90, b"-----BEGIN " + b"PRIVATE KEY-----" + b"\\" * 6 + b"n ",
        b"bearer a", b"authorization:", b"sk-ant-", b"secret_", b"-----BEGIN " + b"PRIVATE KEY-----\n" + b"A" * 500,
        b"-----BEGIN " + b"PRIVATE KEY-----\n" + b"a " * 150, b"-----BEGIN " + b"PRIVATE KEY-----\nkey:1:" + b"A" * 39,
        b"-----BEGIN " + b"PRIVATE KEY-----" + (b"\n" + b" " * 70) * 6,
        b"-----BEGIN " + b"PRIVATE KEY-----" + b"\nk: Aaa: b" * 9,
    ],
)  # fmt: skip
def test_a_log_that_only_begins_credentials_is_read_to_its_end(piece: bytes) -> None:
    """Anything quadratic would take hours."""
    text = piece * (2_000_000 // len(piece)) + b"\n(The end.)\n"
    assert redacted(text).endswith(b"\n(The end.)\n")
