"""`ropeway doctor`: what is wrong with a machine is named, with what to do about it."""

import socket

from tests.integration.daemon.shell import Operator


def checks(operator: Operator) -> dict[str, dict[str, object]]:
    return {check["name"]: check for check in operator.say("doctor", "--json").document["checks"]}


def test_a_healthy_machine_is_told_so_item_by_item(newcomer: Operator) -> None:
    newcomer.ask("init")
    assert newcomer.say("doctor").code == 0
    found = checks(newcomer)
    assert {"home", "permissions", "identity", "settings", "disk", "clock", "socket", "daemon", "git"} <= set(found)
    assert all(check["ok"] for name, check in found.items() if not name.startswith("executor "))
    assert str(newcomer.daemon_pid()) in str(found["daemon"]["detail"])


def test_a_missing_executor_has_a_reason_and_is_no_failure(newcomer: Operator) -> None:
    newcomer.more_env["PATH"] = "/usr/bin:/bin"
    codex = checks(newcomer)["executor codex"]
    assert (codex["ok"], codex["required"]) == (False, False)
    assert "PATH" in str(codex["detail"])


def test_keys_that_others_may_read_are_named(newcomer: Operator) -> None:
    newcomer.ask("init")
    (newcomer.home / "token").chmod(0o644)
    assert newcomer.say("doctor").code == 29
    assert "token" in str(checks(newcomer)["permissions"]["detail"])


def test_a_machine_without_git_is_not_ready(newcomer: Operator) -> None:
    newcomer.more_env["PATH"] = "/nowhere"
    assert newcomer.say("doctor").code == 29
    assert not checks(newcomer)["git"]["ok"]


def test_a_socket_left_by_a_crash_is_told_from_one_that_answers(newcomer: Operator) -> None:
    newcomer.ask("init")
    assert "answered" in str(checks(newcomer)["socket"]["detail"])
    newcomer.daemon_kill()
    assert "left by" in str(checks(newcomer)["socket"]["detail"])


def test_a_home_that_can_not_be_written_in_is_named(newcomer: Operator) -> None:
    newcomer.home.write_text("")
    assert newcomer.say("doctor").code == 29
    assert not checks(newcomer)["home"]["ok"]


def test_the_socket_check_needs_no_daemon_of_ours(newcomer: Operator) -> None:
    newcomer.home.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(newcomer.home / "daemon.sock"))
        silent.listen()
        assert checks(newcomer)["socket"]["ok"]
