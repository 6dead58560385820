from pathlib import Path

import pytest

from local_daemon.config import settings


def _read(tmp_path: Path, text: str) -> settings.Settings:
    (tmp_path / "daemon.toml").write_text(text)
    return settings.settings_read(tmp_path / "daemon.toml")


def test_without_a_file_there_are_defaults_that_reach_nothing_but_the_socket(tmp_path: Path) -> None:
    assert settings.settings_read(tmp_path / "daemon.toml") == settings.Settings()
    assert settings.Settings().listen.port is None


def test_every_setting_can_be_chosen(tmp_path: Path) -> None:
    chosen = _read(
        tmp_path,
        """
        [listen]
        port = 8085
        [concurrency]
        machine = 8
        repository = 2
        [concurrency.executors]
        codex = 1
        [executors]
        environment = ["OPENAI_API_KEY"]
        cancel_grace_s = 1.5
        [stopping]
        drain_timeout_s = 30
        """,
    )
    assert chosen.concurrency.executors == {"codex": 1}
    assert chosen.executors.environment == ("OPENAI_API_KEY",)
    assert chosen.stopping.drain_timeout_s == 30


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[concurency]", "concurency"),
        ("[listen]\nhost = '0.0.0.0'", "listen.host"),
        ("[listen]\nport = 65536", "listen.port"),
        ("[executors]\nenvironment = ['A=B']", "executors.environment.0"),
        ("[concurrency.executors]\ncodex = -1", "concurrency.executors.codex"),
        ("machine = ", "daemon.toml"),
        ("\x00", "daemon.toml"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(settings.SettingsInvalid, match=named):
        _read(tmp_path, text)


def test_a_file_that_is_no_text_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "daemon.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(settings.SettingsInvalid, match="daemon.toml"):
        settings.settings_read(tmp_path / "daemon.toml")
