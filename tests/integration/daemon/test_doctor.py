"""`ropeway doctor`: what is wrong with a machine is named, with what to do about it."""

import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from local_daemon.config import home as homes
from local_daemon.protocol import messages
from tests.integration.daemon.door import STOPS_WITHIN_S, ready_wait
from tests.integration.daemon.executors.player import player_install
from tests.integration.daemon.shell import ENDS_WITHIN_S, Operator


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


def test_a_git_that_can_not_bring_a_result_to_a_branch_is_too_old(newcomer: Operator, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").write_text("#!/bin/sh\necho git version 2.34.1\n")
    (tmp_path / "bin" / "git").chmod(0o755)
    newcomer.more_env["PATH"] = f"{tmp_path / 'bin'}:/usr/bin:/bin"
    assert newcomer.say("doctor", "--json").code == 29
    assert checks(newcomer)["git"]["detail"] == "git version 2.34.1 is older than 2.38"


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


@contextmanager
def daemon_that_ends(home: homes.Home) -> Iterator[None]:
    """A daemon that answers once and has taken its address away by then, as one does that is told to stop meanwhile."""
    instance = messages.InstanceView(
        instance_id="inst_1", version="9", protocol_version=1, hostname="h", platform="p", public_key="k",
        started_at=datetime(2026, 11, 22, tzinfo=UTC),
    )  # fmt: skip
    content = instance.model_dump_json().encode()
    home.root.mkdir(mode=0o700)
    home.token.write_text("t")
    path = home.root / "s"
    home.address.write_text(json.dumps({"pid": os.getpid(), "process_start": "1", "socket": str(path), "port": None}))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        listening.settimeout(ENDS_WITHIN_S)

        def serve() -> None:
            connected, _ = listening.accept()
            with connected:
                connected.recv(65536)
                home.address.unlink()
                connected.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            thread.join()


def test_a_daemon_that_ends_while_it_is_looked_at_is_told_as_it_was(tmp_path: Path) -> None:
    operator = Operator(home=tmp_path / "home", repository=tmp_path)
    with daemon_that_ends(homes.Home(root=operator.home)):
        assert checks(operator)["daemon"]["detail"] == f"inst_1, version 9, process {os.getpid()}"


KEY = "sk-never-to-be-shown"


def said_in(newcomer: Operator, env: dict[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    """A command in a shell that has exactly this environment."""
    return subprocess.run(
        newcomer.argv(*words), env=env, cwd=newcomer.repository, capture_output=True, text=True, check=False,
        timeout=ENDS_WITHIN_S,
    )  # fmt: skip


def environment_check(newcomer: Operator, env: dict[str, str]) -> dict[str, object]:
    said = said_in(newcomer, env, "doctor", "--json")
    assert KEY not in said.stdout + said.stderr
    return next(check for check in json.loads(said.stdout)["checks"] if check["name"] == "environment")


@contextmanager
def daemon_in(newcomer: Operator, env: dict[str, str]) -> Iterator[None]:
    """A daemon that was started with exactly this environment, as by a service manager."""
    process = subprocess.Popen(
        newcomer.argv("daemon"), env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        ready_wait(process)
        yield
    finally:
        process.terminate()
        process.communicate(timeout=STOPS_WITHIN_S)


def bare(newcomer: Operator, tmp_path: Path) -> dict[str, str]:
    """What a service manager gives: no key, no PATH of the shell's."""
    (tmp_path / "user").mkdir(exist_ok=True)
    return {
        "HOME": str(tmp_path / "user"),
        "PATH": "/usr/bin:/bin",
        "ROPEWAY_HOME": str(newcomer.home),
        "PYTHONPATH": newcomer.env["PYTHONPATH"],
    }


def test_what_a_daemon_lacks_of_the_shell_is_named_and_can_be_kept_for_it(newcomer: Operator, tmp_path: Path) -> None:
    player_install(tmp_path / "bin", "codex")
    service = bare(newcomer, tmp_path)
    shell = {**service, "PATH": f"{tmp_path}/bin:/usr/bin:/bin", "OPENAI_API_KEY": KEY, "SOMETHING_ELSE": KEY}
    unit = tmp_path / "user" / ".config" / "systemd" / "user" / "ropeway.service"
    unit.parent.mkdir(parents=True)
    unit.touch()
    with daemon_in(newcomer, service):
        found = environment_check(newcomer, shell)
        assert (found["ok"], found["required"]) == (False, False)
        detail = str(found["detail"])
        assert "lacks OPENAI_API_KEY (codex)" in detail
        assert f"can't use codex, which this shell finds in {tmp_path}/bin" in detail
        assert "`ropeway service environment --keep OPENAI_API_KEY && ropeway service install`" in detail
        assert "SOMETHING_ELSE" not in detail
    kept = said_in(newcomer, shell, "service", "environment", "--keep", "OPENAI_API_KEY", "--json")
    assert json.loads(kept.stdout)["names"] == ["OPENAI_API_KEY"]
    assert KEY not in kept.stdout + kept.stderr
    assert (newcomer.home / "environment").stat().st_mode & 0o777 == 0o600
    with daemon_in(newcomer, {**service, "PATH": shell["PATH"]}):
        assert environment_check(newcomer, shell)["ok"]
        rotated = environment_check(newcomer, {**shell, "OPENAI_API_KEY": "sk-another"})
        assert "another value than here: OPENAI_API_KEY" in str(rotated["detail"])
        assert "--keep OPENAI_API_KEY" in str(rotated["detail"])


def test_a_daemon_that_another_shell_started_is_to_be_started_anew(newcomer: Operator, tmp_path: Path) -> None:
    player_install(tmp_path / "bin", "claude")
    other = {**bare(newcomer, tmp_path), "PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    with daemon_in(newcomer, other):
        assert environment_check(newcomer, other)["ok"]
        detail = str(environment_check(newcomer, {**other, "ANTHROPIC_API_KEY": KEY})["detail"])
    assert "ANTHROPIC_API_KEY (claude)" in detail
    assert "`ropeway daemon stop`" in detail
    assert "service" not in detail


def test_an_executor_that_only_the_daemon_finds_is_not_told_missing(newcomer: Operator, tmp_path: Path) -> None:
    player_install(tmp_path / "bin", "gemini")
    shell = bare(newcomer, tmp_path)
    with daemon_in(newcomer, {**shell, "PATH": f"{tmp_path}/bin:/usr/bin:/bin"}):
        said = said_in(newcomer, shell, "doctor", "--json")
    check = next(each for each in json.loads(said.stdout)["checks"] if each["name"] == "executor gemini")
    assert check["ok"]
    assert "by the daemon's PATH" in check["detail"]
    assert "a budget of tokens or dollars can't stop it while it works" in check["detail"]


def test_a_kept_environment_that_can_not_be_read_is_named_without_a_value(newcomer: Operator) -> None:
    newcomer.home.mkdir(mode=0o700)
    (newcomer.home / "environment").write_text(f"PATH={KEY}\n")
    said = newcomer.say("doctor", "--json")
    settings = next(check for check in said.document["checks"] if check["name"] == "settings")
    assert (settings["ok"], "line 1" in settings["detail"], KEY in said.out) == (False, True, False)
    refused = newcomer.say("daemon")
    assert refused.code == 30
    assert "line 1" in refused.err
    assert KEY not in refused.err
