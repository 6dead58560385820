import plistlib
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local_daemon.service import units


def service(*argv: str, **environment: str) -> units.Service:
    return units.Service(
        argv=argv or ("/usr/bin/env", "daemon"), environment=environment, log=Path("/tmp/l"), drain_timeout_s=600
    )


def test_the_unit_lets_the_daemon_alone_hear_sigterm_and_gives_it_time() -> None:
    text = units.systemd_unit(service())
    assert "KillMode=mixed" in text
    assert "TimeoutStopSec=630" in text


def test_odd_words_reach_the_daemon_as_they_are() -> None:
    text = units.systemd_unit(service("/opt/a b/python", "--home", 'q"%h\\', PATH="/a b:/c%d"))
    assert 'ExecStart="/opt/a b/python" --home "q\\"%%h\\\\"' in text
    assert 'Environment="PATH=/a b:/c%%d"' in text


@pytest.mark.parametrize(("code", "waits"), [("40", "15"), ("1", ""), ("0", "")])
def test_a_daemon_that_finds_no_room_is_started_again_slowly_enough_never_to_be_given_up(
    tmp_path: Path, code: str, waits: str
) -> None:
    (tmp_path / "sleep").write_text('#!/bin/sh\nprintf %s "$1"\n')
    (tmp_path / "sleep").chmod(0o755)
    text = units.systemd_unit(service())
    line = next(line for line in text.splitlines() if line.startswith("ExecStopPost="))
    argv = [word.replace("$$", "$") for word in shlex.split(line.removeprefix("ExecStopPost="))]
    done = subprocess.run(
        argv, capture_output=True, text=True, check=True, env={"EXIT_STATUS": code, "PATH": f"{tmp_path}:/usr/bin:/bin"}
    )
    assert done.stdout == waits
    assert (15 + 2) * 5 > 60
    assert "StartLimitIntervalSec=60\nStartLimitBurst=5" in text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "ropeway.service"
    unit.write_text(units.systemd_unit(service(sys.executable, "-c", "pass", PATH="/usr/bin")))
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(unit)], capture_output=True, text=True, check=False,
        env={"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert "ropeway.service" not in done.stderr, done.stderr


def test_the_agent_is_a_property_list_that_says_the_same() -> None:
    agent = plistlib.loads(units.launchd_agent(service("/p", "daemon", PATH="/x"), label="l"))
    assert agent["ProgramArguments"] == ["/p", "daemon"]
    assert agent["EnvironmentVariables"] == {"PATH": "/x"}
    assert (agent["KeepAlive"], agent["ExitTimeOut"]) == ({"SuccessfulExit": False}, 630)
