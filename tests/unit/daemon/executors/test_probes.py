"""Version probes: run once for as long as the program is the same file."""

import os
from pathlib import Path

import pytest

from local_daemon.executors import port, probes


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Installs a program of the given script on the PATH; each of its runs leaves a line in `runs`."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def install(script: str) -> Path:
        path = tmp_path / "some-cli"
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\necho run >>{tmp_path}/runs\n{script}\n")
        path.chmod(0o755)
        return path

    return install


async def test_a_program_is_asked_once_until_it_changes(program, tmp_path):
    program("echo some-cli 1.0; echo more")
    probe = probes.VersionProbe("some-cli", "--version")
    for _ in range(3):
        assert await probe.availability() == port.Availability(
            status=port.AvailabilityStatus.AVAILABLE, version="some-cli 1.0"
        )
    assert (tmp_path / "runs").read_text() == "run\n"
    program("echo some-cli 1.0.1")
    assert (await probe.availability()).version == "some-cli 1.0.1"


async def test_a_program_that_fails_is_unusable_and_says_why(program):
    program("echo needs node 22 >&2; exit 3")
    availability = await probes.VersionProbe("some-cli", "--version").availability()
    assert availability.status is port.AvailabilityStatus.UNUSABLE
    assert availability.reason == "some-cli: exit code 3: needs node 22"


async def test_a_program_that_cannot_be_run_is_unusable(program):
    path = program("")
    path.write_text("#!/no/such/interpreter\n")
    availability = await probes.VersionProbe("some-cli").availability()
    assert availability.status is port.AvailabilityStatus.UNUSABLE


async def test_a_missing_program_is_missing():
    availability = await probes.VersionProbe("no-such-cli").availability()
    assert availability.status is port.AvailabilityStatus.MISSING


async def test_a_program_that_is_too_old_is_outdated(program):
    program("echo some-cli v1.9.3")
    probe = probes.VersionProbe("some-cli", "--version", minimum=(1, 10))
    availability = await probe.availability()
    assert availability.status is port.AvailabilityStatus.OUTDATED
    assert availability.reason == "some-cli v1.9.3 is older than 1.10"
    assert (await probes.VersionProbe("some-cli", "--version", minimum=(1, 9)).availability()).reason == ""


async def test_its_presence_is_told_without_running_it_and_its_version_once_it_is_known(program, tmp_path):
    program("echo 1.0")
    probe = probes.VersionProbe("some-cli", "--version")
    assert probe.presence().version is None
    assert not (tmp_path / "runs").exists()
    await probe.availability()
    assert probe.presence().version == "1.0"


async def test_another_file_of_the_same_size_and_time_is_asked_anew(program, tmp_path):
    """npm gives every file it installs the same time, and a launcher seldom changes its length."""
    path = program("echo 1.0")
    os.utime(path, (499162500, 499162500))
    probe = probes.VersionProbe("some-cli", "--version")
    assert (await probe.availability()).version == "1.0"
    fresh = tmp_path / "fresh"
    fresh.write_text(path.read_text().replace("1.0", "2.0"))
    fresh.chmod(0o755)
    os.utime(fresh, (499162500, 499162500))
    fresh.rename(path)
    assert not probe.presence().is_asked
    assert (await probe.availability()).version == "2.0"


async def test_one_that_is_installed_or_removed_later_is_noticed_without_asking_it(program, tmp_path):
    probe = probes.VersionProbe("some-cli", "--version")
    assert (await probe.availability()).status is port.AvailabilityStatus.MISSING
    path = program("echo 1.0")
    assert probe.presence() == port.Availability(
        status=port.AvailabilityStatus.AVAILABLE, reason="its version has not been asked yet", is_asked=False
    )
    await probe.availability()
    path.unlink()
    assert probe.presence().status is port.AvailabilityStatus.MISSING
    assert (tmp_path / "runs").read_text() == "run\n"


async def test_one_that_failed_is_asked_again_because_what_it_lacked_may_be_there_now(program, tmp_path):
    program(f"[ -e {tmp_path}/node ] || exit 3; echo 1.0")
    probe = probes.VersionProbe("some-cli", "--version")
    assert (await probe.availability()).status is port.AvailabilityStatus.UNUSABLE
    assert probe.presence().is_doubtful
    (tmp_path / "node").touch()
    assert (await probe.availability()).version == "1.0"
