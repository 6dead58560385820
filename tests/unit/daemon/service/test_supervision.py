"""What is made of a service manager that gives no answer, or the wrong one."""

from pathlib import Path

import pytest

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
