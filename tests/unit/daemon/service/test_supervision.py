"""What is made of a service manager that gives no answer, or the wrong one."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from local_daemon.processes import command
from local_daemon.service import errors, supervision


def _program(folder: Path, name: str, script: str) -> dict[str, str]:
    """An operator's environment in which the manager is this script."""
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin", "HOME": str(folder / "user")}


async def test_a_manager_that_gives_no_answer_does_not_say_that_the_service_rests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "_ANSWERS_WITHIN_S", 0.1)
    environment = _program(tmp_path, "systemctl", "exec sleep 600")
    with pytest.raises(errors.ServiceRefused, match="gave no answer"):
        await supervision.Supervisor(environment, platform="linux").status()


async def test_launchds_refusal_says_what_to_do_where_the_daemon_is_still_at_work(tmp_path: Path) -> None:
    environment = _program(tmp_path, "launchctl", '[ "$1" != bootstrap ] || { echo Input/output error >&2; exit 5; }')
    agent = supervision.Supervisor(environment, platform="darwin")
    with pytest.raises(errors.ServiceRefused, match=r"Input/output error\. launchd takes no service .* again once"):
        await agent.install("text")
    assert not agent.file.exists()


SILENCES = [
    pytest.param({"timed_out": True}, id="it takes too long"),
    pytest.param({"exit_code": 1, "stderr": b"no bus"}, id="it fails"),
]


def _slow_systemd(monkeypatch: pytest.MonkeyPatch, **answered: Any) -> None:
    """Restarting and stopping take longer than anybody waits; `is-active` is answered so, the rest done at once."""
    done = command.CompletedCommand(exit_code=0, stdout=b"", stderr=b"", timed_out=False, truncated=False)
    slow = dataclasses.replace(done, timed_out=True)
    by_verb = {"restart": slow, "stop": slow, "is-active": dataclasses.replace(done, **answered)}

    async def run(words: Sequence[str], **_: Any) -> command.CompletedCommand:
        return by_verb.get(words[2], done)

    monkeypatch.setattr(command, "run_command", run)


@pytest.mark.parametrize("silence", SILENCES)
async def test_a_service_of_which_a_slow_manager_says_nothing_stays_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, silence: dict[str, Any]
) -> None:
    unit = supervision.Supervisor({"HOME": str(tmp_path)}, platform="linux")
    unit.file.parent.mkdir(parents=True)
    unit.file.write_text("text")
    _slow_systemd(monkeypatch, **silence)
    assert await unit.uninstall() is True
    assert unit.file.read_text() == "text"
    _slow_systemd(monkeypatch, stdout=b"inactive\n")
    assert await unit.uninstall() is False
    assert not unit.file.exists()


async def test_an_install_that_is_taken_back_leaves_what_is_stopping_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = supervision.Supervisor({"HOME": str(tmp_path)}, platform="linux")
    _slow_systemd(monkeypatch, timed_out=True)
    with pytest.raises(errors.ServiceRefused, match=r"is-active .* no answer within .* is stopping; uninstall"):
        await unit.install("text")
    assert unit.file.read_text() == "text"
