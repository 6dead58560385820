"""How a daemon starts, stops and comes back: real processes, real signals."""

import asyncio
import gc
import json
import signal
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from local_daemon import bootstrap
from local_daemon.executors import port, registry
from local_daemon.identity import keys
from local_daemon.operations import applications
from local_daemon.scheduler import leftovers
from tests.integration.daemon.door import API, Door, daemon_spawn, door_open, ready_wait
from tests.integration.daemon.machine import git, repository_make

FOREVER = {"executor": "fake-timeout", "timeout_s": 600}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return repository_make(tmp_path / "repository")


def _settings(home: Path, text: str) -> None:
    home.mkdir(mode=0o700, exist_ok=True)
    (home / "daemon.toml").write_text(text)


def _refused(home: Path, *arguments: str) -> str:
    """What a daemon says that does not start."""
    process = daemon_spawn(home, *arguments)
    _, said = process.communicate(timeout=60)
    assert process.returncode not in (0, None)
    assert "Traceback" not in said
    return said


def test_a_ready_daemon_says_where_it_answers(home: Path) -> None:
    with door_open(home, "--port", "0") as door:
        assert door.address["pid"] == door.process.pid
        assert door.address["socket"] == str(home / "daemon.sock")
        assert door.address["port"] > 0
        assert door.address["started_at"].endswith("+00:00")


def test_nobody_else_can_read_the_home(home: Path) -> None:
    with door_open(home):
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        for name in ("token", "identity.json", "daemon.json", "record.sqlite3", "daemon.sock"):
            assert stat.S_IMODE((home / name).stat().st_mode) == 0o600, name


def test_identity_and_token_stay_the_same(home: Path) -> None:
    with door_open(home) as door:
        first = (door.get("/instance")["instance_id"], door.get("/instance")["public_key"], door.token)
    with door_open(home) as door:
        assert (door.get("/instance")["instance_id"], door.get("/instance")["public_key"], door.token) == first


def test_a_second_daemon_in_the_same_home_is_refused(home: Path) -> None:
    with door_open(home) as door:
        assert "Another daemon runs in this home" in _refused(home)
        assert door.get("/instance")


def test_a_home_with_a_long_path_gets_its_socket_elsewhere(tmp_path: Path) -> None:
    home = tmp_path / ("long" * 30) / "home"
    with door_open(home) as door:
        assert len(door.address["socket"]) < 108
        assert stat.S_IMODE(Path(door.address["socket"]).parent.stat().st_mode) == 0o700
        assert door.get("/instance")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[concurency]\nmachine = 2\n", "concurency"),
        ("[listen]\nhost = '0.0.0.0'\n", "listen.host"),
        ("[concurrency]\nmachine = 0\n", "concurrency.machine"),
        ("listen = [", "daemon.toml"),
    ],
)
def test_a_wrong_setting_is_named_and_nothing_starts(home: Path, text: str, named: str) -> None:
    _settings(home, text)
    assert named in _refused(home)
    assert not (home / "daemon.json").exists()


def test_a_taken_port_is_said_plainly(home: Path, tmp_path: Path) -> None:
    with door_open(home, "--port", "0") as door:
        assert "port" in _refused(tmp_path / "other", "--port", str(door.address["port"]))


def test_sigterm_lets_what_is_at_work_finish(home: Path, repository: Path) -> None:
    with door_open(home) as door:
        repository_id = door.repository_add(repository)
        step_id = door.submit(repository_id, door.run_create(repository_id), params={"sleep_s": 0.5})
        _until_started(door, repository_id)
        assert door.stop() == 0
        assert not (home / "daemon.json").exists()
    with door_open(home) as door:
        assert door.get(f"/repositories/{repository_id}/steps/{step_id}")["state"] == "completed"
        assert door.get(f"/repositories/{repository_id}/steps/{step_id}")["attempts"] == 1


def test_a_second_sigterm_stops_at_once_and_the_next_start_accounts_for_the_work(home: Path, repository: Path) -> None:
    with door_open(home) as door:
        repository_id = door.repository_add(repository)
        step_id = door.submit(repository_id, door.run_create(repository_id), **FOREVER)
        _until_started(door, repository_id)
        door.process.send_signal(signal.SIGTERM)
        _log_until(door, "daemon.draining")
        assert door.stop() == 0
        _assert_no_complaint(door)
    with door_open(home) as door:
        step = door.wait(repository_id, step_id)
        assert (step["state"], step["failure"]["kind"]) == ("failed", "interrupted")


def test_draining_ends_when_its_time_is_over(home: Path, repository: Path) -> None:
    _settings(home, "[stopping]\ndrain_timeout_s = 0.2\n")
    with door_open(home) as door:
        repository_id = door.repository_add(repository)
        step_id = door.submit(repository_id, door.run_create(repository_id), **FOREVER)
        _until_started(door, repository_id)
        assert door.stop() == 0
    with door_open(home) as door:
        assert door.wait(repository_id, step_id)["failure"]["kind"] == "interrupted"


def test_an_event_stream_ends_when_the_daemon_stops(home: Path, repository: Path) -> None:
    with door_open(home) as door:
        repository_id = door.repository_add(repository)
        query = {"repository_id": repository_id, "after_seq": 0}
        with door.http.stream("GET", API + "/events/stream", params=query) as answer:
            pieces = answer.iter_raw()
            next(pieces)
            assert door.stop() == 0
            assert list(pieces) == []
        _assert_no_complaint(door)


def test_after_kill_9_the_daemon_starts_again_and_knows_everything(home: Path, repository: Path) -> None:
    with door_open(home) as door:
        repository_id = door.repository_add(repository)
        run_id = door.run_create(repository_id)
        door.stop(signal.SIGKILL)
        assert (home / "daemon.json").exists()
    with door_open(home) as door:
        assert door.address["pid"] == door.process.pid
        assert door.get(f"/repositories/{repository_id}/runs/{run_id}")["run_id"] == run_id
        assert door.wait(repository_id, door.submit(repository_id, run_id))["state"] == "completed"


def test_after_kill_9_at_work_nothing_is_left_locked_and_the_next_step_works(home: Path, repository: Path) -> None:
    with door_open(home):
        pass
    (home / "daemon.toml").write_text("[templates.slow]\ncommand = ['/bin/sh', '-c', 'echo begun; exec sleep 600']\n")
    with door_open(home) as door:
        repository_id = door.repository_add(repository)
        step_id = door.submit(repository_id, door.run_create(repository_id), executor="slow")
        # That it is running is on record before its process may begin.
        with door.http.stream("GET", f"{API}/repositories/{repository_id}/steps/{step_id}/log/stream") as log:
            assert any("begun" in line for line in log.iter_lines())
        door.stop(signal.SIGKILL)
    with door_open(home) as door:
        step = door.wait(repository_id, step_id)
        assert (step["state"], step["failure"]["kind"]) == ("failed", "interrupted")
        after = door.submit(repository_id, door.run_create(repository_id))
        assert door.wait(repository_id, after)["state"] == "completed"
        assert door.stop() == 0
    assert list((repository / ".git").rglob("*.lock")) == []
    assert "locked" not in git(repository, "worktree", "list", "--porcelain")


def test_every_line_of_the_log_is_json_and_carries_the_call(home: Path, repository: Path) -> None:
    call_id = "call_01j00000000000000000000000"
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with door_open(home) as door:
        repository_id = door.repository_add(repository)
        path = f"/repositories/{repository_id}/runs"
        door.post(path, {"objective": "secret plan"}, Ropeway_Call_Id=call_id, traceparent=trace)
        line = next(line for line in door.log() if line.get("call_id") == call_id)
        assert (line["event"], line["method"], line["status"]) == ("http.answered", "POST", 201)
        assert line["traceparent"] == trace
        door.stop()
        assert "secret plan" not in json.dumps(list(door.log()))


def test_the_daemon_answers_while_git_is_configured_oddly(home: Path, repository: Path) -> None:
    process = daemon_spawn(home, env={"GIT_DIR": "/nowhere"})
    try:
        ready_wait(process)
        assert json.loads((home / "daemon.json").read_text())["pid"] == process.pid
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_starting_imports_nothing_heavy() -> None:
    script = "import sys, local_daemon.cli.daemon, local_daemon.bootstrap; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert not {"mcp", "httpx", "django", "starlette", "rich", "yaml", "websockets"} & set(done.stdout.split())


def _until_started(door: Door, repository_id: str) -> None:
    """Follow the events until an attempt is at work."""
    query = {"repository_id": repository_id, "after_seq": 0}
    with door.http.stream("GET", API + "/events/stream", params=query) as answer:
        for line in answer.iter_lines():
            records = json.loads(line)["records"] if line else []
            if any(r["type"] == "step.changed" and r["data"]["step"]["state"] == "running" for r in records):
                return


def _log_until(door: Door, event: str) -> None:
    assert any(line["event"] == event for line in door.log())


def _assert_no_complaint(door: Door) -> None:
    complaints = [line for line in door.log() if line["level"] != "info"]
    assert not complaints


class _Executors(registry.Registry):
    """One that is not asked yet; the first time that is done, it breaks."""

    def __init__(self) -> None:
        super().__init__([])
        self.asked = 0
        self.told: asyncio.Queue[int] = asyncio.Queue()

    async def presences(self) -> dict[str, port.Availability]:
        """What could be seen."""
        return {"one": port.Availability(status=port.AvailabilityStatus.AVAILABLE, is_asked=self.asked > 1)}

    async def availabilities(self) -> dict[str, port.Availability]:
        """What it answered."""
        self.asked += 1
        self.told.put_nowait(self.asked)
        if self.asked == 1:
            raise RuntimeError("a defect")
        return {"one": port.Availability(status=port.AvailabilityStatus.AVAILABLE, version="2")}

    def profile_names(self, name: str) -> tuple[str, ...]:
        """None."""
        return ()

    def budgets(self, name: str) -> None:
        """None."""


async def test_executors_that_could_not_be_asked_are_asked_again(tmp_path: Path) -> None:
    executors = _Executors()
    instance = bootstrap._Instance(keys.identity_ensure(tmp_path / "identity"), executors, environment=())
    asking = asyncio.create_task(instance.ask())
    for time in (1, 2):
        await instance.look()
        assert await asyncio.wait_for(executors.told.get(), 60) == time
    assert [each.version for each in instance._view.executors] == ["2"]
    assert not asking.done()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


async def test_a_part_that_can_not_be_loaded_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bootstrap, "_LATER", ("local_daemon.scheduler.recovery", "local_daemon.of_another_release"))
    monkeypatch.setattr(gc, "freeze", lambda: None)
    await bootstrap._go_on(None, None, None)  # type: ignore[arg-type]
    (record,) = (each for each in caplog.records if each.__dict__.get("event") == "daemon.not_loaded")
    assert record.exc_info is not None
    assert "of_another_release" in str(record.exc_info[1])


async def test_a_duty_that_crashes_is_told_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    done = []

    async def crash(shop: object) -> None:
        raise RuntimeError("a defect")

    async def go_on(context: object = None) -> None:
        await asyncio.sleep(0)
        done.append(context)

    monkeypatch.setattr(leftovers, "worktrees_sweep", crash)
    monkeypatch.setattr(applications, "applications_finish", go_on)
    monkeypatch.setattr(gc, "freeze", lambda: None)
    keeper = SimpleNamespace(run=go_on)
    await bootstrap._go_on(None, "context", lambda: keeper)  # type: ignore[arg-type, return-value]
    (record,) = (each for each in caplog.records if each.__dict__.get("event") == "daemon.duty_crashed")
    assert record.exc_info is not None
    assert "a defect" in str(record.exc_info[1])
    assert sorted(map(str, done)) == ["None", "context"]
