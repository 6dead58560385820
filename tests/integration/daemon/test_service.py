"""`ropeway service`: what is written, and what the service manager is asked, in which order."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from local_daemon.cli import service
from local_daemon.config import home as homes
from local_daemon.service import supervision
from tests.integration.daemon.executors.player import player_install
from tests.integration.daemon.shell import Operator


@pytest.fixture
def managed(newcomer: Operator, tmp_path: Path) -> Operator:
    """An operator whose systemctl writes down what it is asked, and is as told by a file."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "systemctl").write_text(
        f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\n'
        f'[ ! -e {tmp_path}/refuses ] || {{ echo "no bus" >&2; exit 1; }}\n'
        f'case "$2" in is-active) cat {tmp_path}/state;; restart|stop)\n'
        f"  [ ! -e {tmp_path}/at-work ] || exec sleep 600\n"
        f'  case "$2" in stop) echo inactive;; *) echo active;; esac > {tmp_path}/state;; esac\n'
    )
    (folder / "systemctl").chmod(0o755)
    (tmp_path / "state").write_text("inactive\n")
    newcomer.more_env.update(
        PATH=f"{folder}:/usr/bin:/bin", HOME=str(tmp_path / "user"), XDG_CONFIG_HOME=str(tmp_path / "config")
    )
    return newcomer


def say_while_it_ends(managed: Operator, tmp_path: Path, *words: str) -> Result:
    """`ropeway service …` while the service is ending what it is at work on, without the moment that it is given."""
    (tmp_path / "at-work").touch()
    (tmp_path / "state").write_text("deactivating\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(supervision, "_ENDS_WITHIN_S", 0)
        return CliRunner(env=managed.env).invoke(service.service, words, obj=homes.Home(root=managed.home))


def test_a_service_is_written_enabled_and_started(managed: Operator, tmp_path: Path) -> None:
    shown = managed.ask("service", "install")
    assert (shown["is_installed"], shown["state"]) == (True, "active")
    unit = (tmp_path / "config" / "systemd" / "user" / "ropeway.service").read_text()
    assert "KillMode=mixed" in unit
    assert str(managed.home) in unit
    asked = (tmp_path / "asked").read_text().splitlines()
    assert [each for each in asked if "is-active" not in each] == [
        "--user daemon-reload",
        "--user enable ropeway.service",
        "--user restart ropeway.service",
    ]


def test_installing_says_which_keys_of_this_shell_do_not_come_along(managed: Operator, tmp_path: Path) -> None:
    player_install(tmp_path / "bin", "codex")
    managed.more_env.update(OPENAI_API_KEY="sk-never-to-be-shown", GEMINI_API_KEY="sk-of-nobody-here")
    said = managed.say("service", "install")
    assert "OPENAI_API_KEY (codex)" in said.err
    assert "--keep OPENAI_API_KEY" in said.err
    assert "GEMINI_API_KEY" not in said.err
    managed.ask("service", "environment", "--keep", "OPENAI_API_KEY")
    again = managed.say("service", "install")
    assert "OPENAI_API_KEY" not in again.err
    assert "sk-" not in said.out + said.err + again.out + again.err


def test_uninstalling_stops_it_and_leaves_nothing(managed: Operator, tmp_path: Path) -> None:
    managed.ask("service", "install")
    assert managed.ask("service", "uninstall")["is_installed"] is False
    assert not (tmp_path / "config" / "systemd" / "user" / "ropeway.service").exists()
    asked = (tmp_path / "asked").read_text().splitlines()
    assert "--user disable ropeway.service" in asked
    assert asked[-2:] == ["--user stop ropeway.service", "--user daemon-reload"]
    assert managed.say("service", "status").code == 29
    assert managed.ask("service", "uninstall")["is_installed"] is False


def test_installing_over_a_service_at_work_leaves_the_waiting_to_systemd(managed: Operator, tmp_path: Path) -> None:
    unit = tmp_path / "config" / "systemd" / "user" / "ropeway.service"
    assert "has ended" not in managed.say("service", "install").err
    assert "has ended" not in managed.say("service", "install").err
    managed.more_env["HTTPS_PROXY"] = "http://proxy.example"
    said = say_while_it_ends(managed, tmp_path, "install")
    assert said.exit_code == 0
    assert "started anew once what it is at work on has ended" in said.stderr
    assert "proxy.example" in unit.read_text()


def test_uninstalling_a_service_at_work_leaves_it_the_time_that_it_was_given(managed: Operator, tmp_path: Path) -> None:
    managed.ask("service", "install")
    said = say_while_it_ends(managed, tmp_path, "uninstall")
    assert (said.exit_code, said.stdout) == (0, "Stopping.\n")
    assert "stops once what it is at work on has ended" in said.stderr
    # Reading its units anew, as somebody may at any time, systemd would forget it all with the file.
    assert managed.say("service", "status").out.startswith("installed, deactivating: ")
    assert "--user disable ropeway.service" in (tmp_path / "asked").read_text()
    (tmp_path / "at-work").unlink()
    assert managed.say("service", "uninstall").out == "Removed.\n"
    assert managed.say("service", "status").code == 29


def test_what_would_be_written_can_be_read_first(managed: Operator, tmp_path: Path) -> None:
    said = managed.say("service", "install", "--print")
    assert "[Service]" in said.out
    assert not (tmp_path / "config").exists()
    assert not (tmp_path / "asked").exists()


def test_what_the_manager_says_is_passed_on(managed: Operator, tmp_path: Path) -> None:
    (tmp_path / "refuses").touch()
    unit = tmp_path / "config" / "systemd" / "user" / "ropeway.service"
    said = managed.say("service", "install")
    assert said.code == 29
    assert "no bus" in said.err
    assert "Nothing was installed." in said.err
    assert not unit.exists()
    assert managed.say("service", "status").code == 29


def test_an_install_that_fails_leaves_what_was_there(managed: Operator, tmp_path: Path) -> None:
    unit = tmp_path / "config" / "systemd" / "user" / "ropeway.service"
    managed.ask("service", "install")
    before = unit.read_text()
    (tmp_path / "refuses").touch()
    managed.more_env["HTTPS_PROXY"] = "http://proxy.example"
    said = managed.say("service", "install")
    assert said.code == 29
    assert "there again" in said.err
    assert unit.read_text() == before


def test_uninstalling_without_a_manager_that_answers_removes_it_even_so(managed: Operator, tmp_path: Path) -> None:
    unit = tmp_path / "config" / "systemd" / "user" / "ropeway.service"
    managed.ask("service", "install")
    link = unit.parent / "default.target.wants" / unit.name
    link.parent.mkdir()
    link.symlink_to(unit)
    (tmp_path / "refuses").touch()
    said = managed.say("service", "uninstall")
    assert said.code == 29
    assert "no bus" in said.err
    assert "removed even so" in said.err
    assert not unit.exists()
    assert not link.is_symlink()
    assert managed.ask("service", "uninstall")["is_installed"] is False


def test_a_machine_without_a_manager_is_told_what_to_do(managed: Operator, tmp_path: Path) -> None:
    managed.more_env["PATH"] = str(tmp_path)
    for command in ("status", "install"):
        said = managed.say("service", command)
        assert said.code == 29
        assert "--print" in said.err
    assert not (tmp_path / "config" / "systemd" / "user" / "ropeway.service").exists()


def test_a_daemon_that_runs_already_is_not_fought_over(managed: Operator) -> None:
    managed.ask("init")
    said = managed.say("service", "install")
    assert said.code == 30
    assert "`ropeway daemon stop`" in said.err


def test_variables_are_kept_and_forgotten_by_name(managed: Operator) -> None:
    managed.more_env.update(OPENAI_API_KEY="sk-1", UNRELATED="2")
    assert managed.ask("service", "environment")["names"] == []
    said = managed.say("service", "environment", "--keep", "OPENAI_API_KEY", "--keep", "UNRELATED")
    assert said.out.split() == ["OPENAI_API_KEY", "UNRELATED"]
    assert "No executor is given UNRELATED" in said.err
    assert "No executor is given OPENAI_API_KEY" not in said.err
    assert "sk-1" in (managed.home / "environment").read_text()
    assert managed.ask("service", "environment", "--forget", "UNRELATED")["names"] == ["OPENAI_API_KEY"]
    assert managed.ask("service", "environment")["file"] == str(managed.home / "environment")


@pytest.mark.parametrize(("name", "named"), [("NOT_SET_HERE", "export it first"), ("PATH", "PATH")])
def test_what_can_not_be_kept_is_refused(managed: Operator, name: str, named: str) -> None:
    said = managed.say("service", "environment", "--keep", name)
    assert said.code == 30
    assert named in said.err
    assert not (managed.home / "environment").exists()


def test_executors_are_given_what_is_kept_and_no_log_shows_it(managed: Operator, tmp_path: Path) -> None:
    (tmp_path / "tell").write_text('echo "token=$TEAM_TOKEN length=${#TEAM_TOKEN}"')
    managed.home.mkdir(mode=0o700)
    (managed.home / "daemon.toml").write_text(
        f'[templates.tell]\ncommand = ["sh", "{tmp_path}/tell"]\nenvironment = ["TEAM_TOKEN"]\n'
    )
    (managed.home / "environment").write_text("TEAM_TOKEN='team-secret-0123456789'\n")
    managed.ask("init")
    step = managed.ask("submit", "--wait", "--quiet", "--executor", "tell", "--goal", "Tell.")
    log = managed.say("step", "log", step["step_id"]).out
    assert "length=22" in log
    assert "team-secret" not in log
