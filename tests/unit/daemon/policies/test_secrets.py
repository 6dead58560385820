"""The usual accidents are noticed, and what was found is never repeated."""

import pytest

from local_daemon.policies import secrets


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("-----BEGIN OPENSSH " + "PRIVATE KEY-----", "a private key"),
        ("-----BEGIN " + "PRIVATE KEY-----", "a private key"),
        ("id = AKIA" + "ABCDEFGHIJKLMNOP", "an AWS access key"),
        ("ghp_" + "a1" * 18, "a GitHub token"),
        ("github_pat_" + "a1" * 30, "a GitHub token"),
        ("glpat-" + "a1" * 10, "a GitLab token"),
        ("xoxb-" + "1234567890-abcdefghij", "a Slack token"),
        ("AIza" + "a1b" * 11 + "xy", "a Google API key"),
        ("sk-ant-" + "api03-" + "a" * 20, "an Anthropic key"),
        ("sk-proj-" + "a" * 24, "an OpenAI key"),
        ("sk_live_" + "a" * 20, "a Stripe key"),
    ],
)
def test_a_well_known_credential_is_named(text: str, name: str) -> None:
    assert secrets.secrets_named(f"+token = '{text}'\n".encode()) == (name,)


@pytest.mark.parametrize(
    "text", ["-----BEGIN CERTIFICATE-----", "-----BEGIN PUBLIC KEY-----", "task-proj-notes", "AKIA", "sk-learn is fine"]
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert secrets.secrets_named(text.encode()) == ()


@pytest.mark.parametrize(
    ("value", "patch", "is_named"),
    [
        ("s3cret-word", "+x = 's3cret-word'", True),
        ("s3cret-word", "-x = 's3cret-word'", False),
        ("s3cret-word", " x = 's3cret-word'", False),
        ("short", "+short", False),
        ("first line of it\nsecond line of it", "+first line of it\n+second line of it\n", True),
        ("s3cret-wörd", "+s3cret-wörd", True),
    ],
)
def test_a_known_secret_is_named_where_it_stands_in_an_added_line(value: str, patch: str, is_named: bool) -> None:
    assert secrets.secrets_known(patch.encode(), {"KEY": value}) == (("the value of KEY",) if is_named else ())


@pytest.mark.parametrize(
    ("name", "value", "is_named"),
    [
        ("DB_HOST", "localhost", False),
        ("NODE_ENV", "development", False),
        ("PAGE_URL", "https://example.com/", False),
        ("DATABASE_URL", "postgres://u:hunter2@db/x", True),
        ("db_password", "localhost", True),
        ("SENTRY_DSN", "https://abc@example.com", True),
    ],
)
def test_of_an_environment_file_only_what_is_named_like_a_secret_or_holds_a_password_counts(
    name: str, value: str, is_named: bool
) -> None:
    named = secrets.secrets_known(f"+x = '{value}'\n".encode(), {name: value})
    assert named == ((f"the value of {name}",) if is_named else ())
