"""Secrets are not missed, and what a setting merely says stays readable."""

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_daemon.processes import secrecy


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEBUG", "true"),
        ("PORT", "3000"),
        ("NODE_ENV", "development"),
        ("DB_HOST", "localhost"),
        ("DB_NAME", "my_project_test"),
        ("AWS_REGION", "eu-central-1"),
        ("LANG", "en_US.UTF-8"),
        ("PAGE_URL", "https://example.com/shop/"),
        ("AUTH_URL", "http://localhost:3000/login"),
        ("CACHE_DIR", "/var/cache/project"),
        ("HOSTS", "localhost,127.0.0.1,[::1]"),
        ("TIMEOUT_MS", "30000"),
        ("GIT_AUTHOR_NAME", "Jane Doe"),
        ("ALGORITHM", "HS256"),
        ("EMPTY_TOKEN", ""),
        ("SHOPPING", "flour"),
        ("MY_PATH", "/usr/local/bin"),
        ("ENCODER", "h264"),
        ("DOCS_URL", "https://docs.example.com/guides/internationalization"),
        ("BASE_URL", "https://github.com/acme/shop/commit/da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        ("ISSUER", "https://login.microsoftonline.com/8c6a3f4e-58b1-4c35-9d0e-7a2b0c9d1e3f/v2.0"),
    ],
)
def test_an_ordinary_setting_is_no_secret(name: str, value: str) -> None:
    assert not secrecy.is_secret(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_KEY", "sunshine"),
        ("db_password", "postgres"),
        ("githubToken", "x"),
        ("SENTRY_DSN", "https://abc@example.com"),
        ("AUTH_URL", "https://example.com/login?code=abc"),
        ("AUTHORIZATION", "Basic abc"),
        ("DATABASE_URL", "postgres://postgres:postgres@localhost/postgres"),
        ("CACHE_URL", "redis://:hunter@cache/0"),
        ("WEBHOOK", "https://hooks.slack.com/services/T00000001/B00000001/abcdefABCDEFabcdefABCDEF"),
        ("REMOTE", "https://ghp_0123456789abcdefghijABCDEFGHIJ012345@github.com/x/y"),
        ("PLAIN", "hunter2"),
        ("ACCOUNT", "123456789012"),
        ("ID", "8c6a3f4e-58b1-4c35-9d0e-7a2b0c9d1e3f"),
        ("WORD", "pa$$word"),
        ("MNEMONIC", "legal winner thank year wave sausage"),
        ("SIGNING_PHRASE", "correct horse battery staple"),
        ("OTP_SEED", "abcdef"),
        ("SESSION_COOKIE", "deadbeefcafe"),
        ("LICENSE", "ABCDE-FGHIJ-KLMNO-PQRST"),
        ("UNLOCK_PIN", "48213307"),
        ("GH_PAT", "abcd_efgh_ijkl"),
        ("BACKUP_CODES", "48213-30771-99120"),
        ("TOPIC", "internationalization"),
        ("RELEASE", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        ("PING", "https://ping.example.com/8c6a3f4e-58b1-4c35-9d0e-7a2b0c9d1e3f"),
        ("HOOK", "https://internationalization@example.com/"),
        ("SQL_CONN", "Server=db;User Id=sa;Password=swordfish;"),
    ],
)
def test_a_secret_is_one_by_its_name_or_by_its_value(name: str, value: str) -> None:
    assert secrecy.is_secret(name, value)


@given(value=st.text(string.ascii_letters + string.digits, min_size=16))
def test_sixteen_letters_and_digits_in_a_row_are_a_secret_whatever_they_are_called(value: str) -> None:
    assert secrecy.is_secret("PLAIN", value)
    assert secrecy.is_secret("PLAIN", f"https://localhost/{value}")
    assert not secrecy.is_everyday(value)


@given(randomness=st.binary(min_size=16, max_size=64))
def test_a_key_in_hexadecimal_digits_is_a_secret_whatever_it_is_called(randomness: bytes) -> None:
    assert secrecy.is_secret("PLAIN", randomness.hex())


@given(name=st.sampled_from(["KEY", "my_token", "dbPassword", "APP_SECRET", "PWD1"]), value=st.text(min_size=1))
def test_what_is_called_a_secret_is_one_unless_it_is_an_ordinary_address(name: str, value: str) -> None:
    assert secrecy.is_secret(name, value) or "://" in value


@pytest.mark.parametrize(
    ("value", "is_everyday"),
    [
        ("dev", True),
        ("s3c!t", True),
        ("postgres", True),
        ("Production", True),
        ("http://localhost:3000", True),
        ("localhost:3000", True),
        ("127.0.0.1:8000", True),
        ("48213-30771-99120-55310", False),
        ("123456", False),
        ("admin-secret-prod-master", False),
        ("Server=db;Password=dev;", False),
        ("sunshine", False),
        ("password123", False),
        ("postgres://postgres:postgres@localhost", False),
    ],
)
def test_a_secret_may_be_a_word_that_logs_are_full_of(value: str, is_everyday: bool) -> None:
    assert secrecy.is_everyday(value) is is_everyday


@pytest.mark.parametrize(
    ("value", "passwords"),
    [
        ("postgres://u:hunter@db/x", ("hunter",)),
        ("redis://:hunter@db", ("hunter",)),
        ("postgres://app:S3cr@t!99x@db/app?a=b@c", ("S3cr@t!99x",)),
        ("postgres://app:hunter%40Two@db/app", ("hunter%40Two", "hunter@Two")),
        ("postgres://app:horse/staple@db/app", ("horse/staple",)),
        ("postgres://app:horse?staple@db/app", ("horse?staple",)),
        ("amqp://u:first@a:5672,amqp://u:second@b:5672", ("first", "second")),
        ("https://u@db", ()),
        ("a:b@c", ()),
        ("http://localhost:3000/@vite/client", ()),
        ("http://[::1]:3000/@vite/client", ()),
    ],
)
def test_the_password_of_an_address_is_found(value: str, passwords: tuple[str, ...]) -> None:
    assert secrecy.passwords_in(value) == passwords


@pytest.mark.parametrize(
    ("value", "password"),
    [
        ("Server=db;User Id=sa;Password=swordfish;", "swordfish"),
        ("Server=db;Pwd = correct horse;Database=x", "correct horse"),
        ("host=db password=swordfish user=x", "swordfish"),
        ("cache:6379,password=swordfish,ssl=True", "swordfish"),
        ("https://example.com/?a=b&token=swordfish&c=d", "swordfish"),
        ("AccountName=x;AccountKey=c3dvcmQ=;Suffix=y", "c3dvcmQ="),
        ("password='sword;fish'", "sword;fish"),
        ('client_secret="sword fish"', "sword fish"),
    ],
)
def test_a_password_is_found_behind_a_word_that_says_so(value: str, password: str) -> None:
    assert password in secrecy.passwords_in(value)


@pytest.mark.parametrize("value", ["key", "key=", "keyboard=qwerty", "Password=;Server=db", "a=b;c=d"])
def test_where_nothing_is_said_to_be_a_password_none_is_found(value: str) -> None:
    assert secrecy.passwords_in(value) == ()


@pytest.mark.parametrize(
    ("value", "keys"),
    [
        (
            "https://hooks.slack.com/services/T00000001/B00000001/abcdefABCDEF0123abcdEFGH",
            ("abcdefABCDEF0123abcdEFGH",),
        ),
        ("https://0123456789abcdef0123456789abcdef@o1.ingest.example.com/42", ("0123456789abcdef0123456789abcdef",)),
        (
            "https://ghp_0123456789abcdefghijABCDEFGH:x-oauth-basic@github.com/x/y",
            ("ghp_0123456789abcdefghijABCDEFGH",),
        ),
        ("https://sk_live_0123456789abcdefghij:@api.example.com/v1", ("sk_live_0123456789abcdefghij",)),
        (
            "https://api.telegram.org/bot123456789:AAFq7-x0123456789abcdefghijklmno",
            ("bot123456789:AAFq7-x0123456789abcdefghijklmno",),
        ),
        ("https://ping.example.com/8c6a3f4e-58b1-4c35-9d0e-7a2b0c9d1e3f", ("8c6a3f4e-58b1-4c35-9d0e-7a2b0c9d1e3f",)),
        ("https://example.com/x?sig=a0B1c2D3e4F5g6H7i8J9%3D", ("a0B1c2D3e4F5g6H7i8J9%3D", "a0B1c2D3e4F5g6H7i8J9=")),
        (
            "https://a.example.com/0a1b2c3d4e5f6a7b8c9d,https://9f8e7d6c5b4a3f2e1d0c@b.example.com",
            ("0a1b2c3d4e5f6a7b8c9d", "9f8e7d6c5b4a3f2e1d0c"),
        ),
        ("0123456789abcdef0123456789abcdef", ()),
        ("https://example.com/", ()),
        ("https://jenkins@example.com/view/all", ()),
        ("https://example.com/getAllTheUserAccounts/ApplicationInsights2026", ()),
        ("https://example.com/Main%20Page%20of%20the%20handbook", ()),
        ("https://example.com/%E3%83%9A%E3%83%BC%E3%82%B8%E3%81%AE%E5%90%8D%E5%89%8D%E3%81%A7%E3%81%99", ()),
        ("https://example.com/my-very-long-name-of-an-article-v2beta1", ()),
        ("https://example.com/wheels/cp311-manylinux2014_x86_64", ()),
    ],
)
def test_the_keys_of_an_address_are_found_and_its_names_are_not(value: str, keys: tuple[str, ...]) -> None:
    assert secrecy.keys_in(value) == keys


COMMIT = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
UUID = "8c6a3f4e-58b1-4c35-9d0e-7a2b0c9d1e3f"


@pytest.mark.parametrize(
    "value",
    [
        f"https://github.com/acme/shop/commit/{COMMIT}",
        f"https://github.com/acme/shop/archive/{COMMIT}.tar.gz",
        f"https://gitlab.example.com/acme/shop/-/blob/{COMMIT}/README.md",
        f"https://raw.githubusercontent.com/acme/shop/{COMMIT}/install.sh",
        f"git+https://github.com/acme/shop@{COMMIT}",
        f"git+ssh://git@github.com/acme/shop.git@{COMMIT}#egg=shop",
        f"https://registry.example.com/shop@sha256:{COMMIT}{COMMIT[:24]}",
        f"https://login.microsoftonline.com/{UUID}/v2.0",
        f"https://api.example.com/projects/{UUID}/users/{UUID.upper()}",
    ],
)
def test_what_an_address_says_to_be_a_commit_or_whose_it_is_is_no_key(value: str) -> None:
    assert secrecy.keys_in(value) == ()


@pytest.mark.parametrize("key", [COMMIT, UUID, f"{UUID}-{COMMIT}", f"{COMMIT}0", f"{COMMIT}_x", COMMIT[1:]])
@pytest.mark.parametrize(
    "place",
    [
        "https://ping.example.com/{}",
        "https://hooks.example.com/catch/{}",
        "https://example.com/send?token={}",
        "https://{}@example.com/projects/42",
        "https://{}:x@github.com/acme/shop",
        "git+https://{}@github.com/acme/shop",
        "https://example.com/#{}",
    ],
)
def test_what_only_looks_like_an_id_is_a_key(key: str, place: str) -> None:
    assert key in secrecy.keys_in(place.format(key))
    assert secrecy.is_secret("PLAIN", place.format(key))


@pytest.mark.parametrize("key", [f"{COMMIT}0", COMMIT[1:], f"{COMMIT}-{UUID}", UUID.replace("-", "")])
@pytest.mark.parametrize("place", ["https://example.com/commit/{}", "https://example.com/projects/{}"])
def test_what_is_longer_or_shorter_than_the_id_that_is_due_is_a_key(key: str, place: str) -> None:
    assert key in secrecy.keys_in(place.format(key))


LONG_WORDS = [
    "internationalization",
    "telecommunications",
    "responsibilities",
    "cryptocurrencies",
    "straightforwardness",
    "authenticationgateway",
    "notificationservice",
    "Interoperability",
    "getInternationalizationSettings",
]


@pytest.mark.parametrize("word", LONG_WORDS)
def test_a_long_word_is_a_name_as_a_step_of_a_path_and_only_there(word: str) -> None:
    for path in (f"{word}", f"v1/{word}/send", f"our-{word}-page", f"{word}?a=b"):
        assert secrecy.keys_in(f"https://example.com/{path}") == ()
    for place in (f"?key={word}", f"#{word}"):
        assert secrecy.keys_in(f"https://example.com/{place}") == (word,)
    assert secrecy.keys_in(f"https://{word}@example.com/") == (word,)


@pytest.mark.parametrize(
    "key",
    [
        "correcthorsebatterystaple",
        "qzxkvwtjpbmcdations",
        "aeiouaeioubcdings",
        "lllooonnngggwordness",
        f"{'ab' * 14}ing",
    ],
)
def test_small_letters_that_are_no_word_are_a_key_however_they_end(key: str) -> None:
    assert secrecy.keys_in(f"https://example.com/{key}") == (key,)


@given(key=st.text("bcdfghjkmnpqrtvwxz", min_size=16, max_size=40))
def test_small_letters_at_random_are_a_key(key: str) -> None:
    assert secrecy.keys_in(f"https://example.com/hook/{key}") == (key,)


def test_of_a_hundred_thousand_keys_in_small_letters_a_few_look_like_words() -> None:
    """The price of long words that stay readable; letters and digits mixed, as most keys are, never look like one."""
    draw = random.Random(20261122)
    keys = ["".join(draw.choices(string.ascii_lowercase, k=16)) for _ in range(100_000)]
    missed = [key for key in keys if not secrecy.keys_in(f"https://example.com/{key}")]
    assert len(missed) <= 20


KEYS = st.text(string.ascii_letters + string.digits, min_size=20, max_size=64).filter(
    # Without a digit inside it may be a name of several words, by chance.
    lambda key: any(character.isdigit() for character in key[:-4])
) | st.binary(min_size=16, max_size=32).map(bytes.hex)
PLACES = st.sampled_from(
    [
        "https://{}@example.com/project/42",
        "https://{}:@example.com",
        "https://example.com/services/{}",
        "https://example.com/v1/{}/send",
        "https://example.com/send?to=us&id={}&x=1",
        "https://example.com/#{}",
    ]
)


@given(key=KEYS, place=PLACES)
def test_a_key_made_at_random_is_found_wherever_it_stands_in_an_address(key: str, place: str) -> None:
    assert key in secrecy.keys_in(place.format(key))


WORDS = st.from_regex(r"[a-z]{1,15}|[A-Z][a-z]{1,14}|[A-Z]{1,10}|v[0-9]{1,2}|[0-9]{1,8}|utf8|x86", fullmatch=True)
NAMES = st.builds(lambda between, words: between.join(words), st.sampled_from("-_.+ "), st.lists(WORDS, min_size=1))
HUMPS = st.lists(st.from_regex(r"[A-Z][a-z]{3,14}", fullmatch=True), min_size=1, max_size=6).map("".join)


@given(names=st.lists(NAMES | HUMPS, min_size=1, max_size=5), user=NAMES)
def test_an_address_of_words_holds_no_key_however_long(names: list[str], user: str) -> None:
    assert secrecy.keys_in(f"https://{user}@example.com/{'/'.join(names)}?name={names[0]}#{names[-1]}") == ()
