"""What the connector makes of its home directory."""

import stat
from pathlib import Path

import pytest

from connector_agent import config as settings
from local_daemon.protocol import ids

REPOSITORY = ids.new_id(ids.IdPrefix.REPOSITORY)


@pytest.fixture
def home(tmp_path: Path) -> settings.Home:
    return settings.Home(root=tmp_path)


def test_no_settings_expose_nothing(home: settings.Home) -> None:
    assert settings.config_read(home).shared() == {}


@pytest.mark.parametrize("text", ["plain", "with space", "größer 漢字 🚡", 'quoted "so" \\ and so'])
def test_settings_are_read_as_they_were_written(home: settings.Home, text: str) -> None:
    written = settings.Config(
        daemon=settings.Daemon(home=f"/srv/{text}"),
        ca_file=f"/etc/{text}.pem",
        share=(settings.Share(repository_id=REPOSITORY, label=text),),
    )
    settings.config_write(home, written)
    assert settings.config_read(home) == written


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"shares = 1", "shares"),
        (b"[[share]]\nrepository_id = 'x'", "repository_id"),
        (b"[[share]]\nlabel = 'x'", "repository_id"),
        (b"[daemon", "connector.toml"),
        (b"ca_file = '\xff'", "UTF-8"),
        (b"#" * (settings.FILE_BYTES + 1), "longer than"),
    ],
    ids=["unknown key", "bad id", "missing id", "no TOML", "no UTF-8", "oversized"],
)
def test_settings_that_are_wrong_say_where(home: settings.Home, content: bytes, said: str) -> None:
    home.config.write_bytes(content)
    with pytest.raises(settings.ConfigInvalid, match=said):
        settings.config_read(home)


def test_settings_that_are_no_file_are_said(home: settings.Home) -> None:
    home.config.mkdir()
    with pytest.raises(settings.ConfigInvalid, match="cannot be read"):
        settings.config_read(home)


def test_without_an_enrollment_it_belongs_to_nobody(home: settings.Home) -> None:
    with pytest.raises(settings.NotEnrolled):
        settings.enrollment_read(home)


@pytest.mark.parametrize("content", ["", "{}", '{"cloud_url": "ftp://c", "connector_id": "c"}'])
def test_a_damaged_enrollment_asks_to_enroll_again(home: settings.Home, content: str) -> None:
    home.enrollment.write_text(content)
    with pytest.raises(settings.ConfigInvalid, match="enroll again"):
        settings.enrollment_read(home)


def test_a_link_is_dialled_at_the_scheme_and_name_that_were_enrolled() -> None:
    enrolled = settings.Enrollment(cloud_url="https://http.example:8443", connector_id="c")
    assert (enrolled.websocket_url, enrolled.audience) == (
        "wss://http.example:8443/ws/connectors",
        "http.example:8443",
    )


def test_only_the_owner_may_read_what_is_written_even_over_a_file_that_all_may_read(home: settings.Home) -> None:
    home.enrollment.write_text("")
    home.enrollment.chmod(0o644)
    settings.enrollment_write(home, settings.Enrollment(cloud_url="https://c", connector_id="c"))
    assert stat.S_IMODE(home.enrollment.stat().st_mode) == 0o600
    assert [path.name for path in home.root.iterdir()] == ["enrollment.json"]
