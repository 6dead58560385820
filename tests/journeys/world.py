"""A whole Ropeway for a journey: real processes, a planner that does what any planner does, and the questions that must
have the same answer everywhere."""

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg

from cloud.config.embedded_postgres import EmbeddedPostgres
from deploy.stack.local import LocalStack, Tenant
from deploy.stack.processes import NotReady, Process
from tests.integration.daemon.machine import repository_make
from tests.integration.daemon.truth import truth_check

PATIENCE_S = 60.0
RETRY_S = 0.1
UNDECIDED = {"queued", "preparing", "running", "collecting", "validating", "retry_wait"}


class Refused(AssertionError):
    """A call was refused for good."""

    def __init__(self, said: str, *, code: str) -> None:
        super().__init__(said)
        self.code = code


@dataclass(kw_only=True)
class World:
    """A stack with one tenant and one shared repository."""

    stack: LocalStack
    tenant: Tenant
    repository_id: str
    repository: Path
    starts: Path
    _http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self._http = httpx.Client(headers={"Authorization": f"Bearer {self.tenant.token}"}, timeout=45)

    # -- the planner: a repeat carries the same key, and only what is retryable is repeated

    def call(self, method: str, path: str, body: dict[str, Any] | None = None, **query: Any) -> dict[str, Any]:
        """Call `/api/v2` for the project until it is answered. Raises Refused for what no repeat would change."""
        return dict(self._answered(method, path, body, **query).json())

    def content(self, artifact_id: str) -> str:
        """The artifact's text, likewise."""
        return self._answered("GET", f"/artifacts/{artifact_id}/content").text

    def _answered(self, method: str, path: str, body: dict[str, Any] | None = None, **query: Any) -> httpx.Response:
        url = f"{self.stack.url}/api/v2/projects/{self.tenant.project_id}{path}"
        headers = {"Idempotency-Key": str(uuid4())} if body is not None else {}
        give_up_at = time.monotonic() + PATIENCE_S
        said = ""
        while time.monotonic() < give_up_at:
            try:
                response = self._http.request(method, url, json=body, params=query, headers=headers)
            except httpx.TransportError as error:
                said = repr(error)
            else:
                if response.is_success:
                    return response
                said = response.text
                if not response.json().get("retryable") and response.status_code < 500:
                    raise Refused(f"{method} {path}: {said}", code=response.json()["code"])
            threading.Event().wait(RETRY_S)
        raise AssertionError(f"{method} {path} was not answered: {said}")

    def is_online(self) -> bool:
        """Whether the project's one place is connected."""
        projects = self._http.get(f"{self.stack.url}/api/v2/projects").raise_for_status().json()["items"]
        return any(location["is_online"] for project in projects for location in project["locations"])

    def run(self) -> str:
        """A new run."""
        return str(self.call("POST", "/runs", {"objective": "survive"})["run"]["run_id"])

    def submit(self, run_id: str, **task: Any) -> str:
        """A new step."""
        body = {"task": {"goal": "g", **task}}
        return str(self.call("POST", f"/runs/{run_id}/steps", body)["step"]["step_id"])

    def settle(self, step_id: str) -> dict[str, Any]:
        """The step once nothing more happens to it by itself."""
        while True:
            answer = self.call("GET", f"/steps/{step_id}/wait", timeout_s=20)
            if not answer["timed_out"]:
                return dict(answer["step"])

    def finish(self, step_id: str) -> dict[str, Any]:
        """The step once it is done, tried again where the machine's death interrupted it."""
        step = self.settle(step_id)
        while step["state"] == "failed" and step["failure"]["kind"] == "interrupted":
            self.call("POST", f"/steps/{step_id}/retry", {})
            step = self.settle(step_id)
        return step

    def cancel(self, step_id: str) -> None:
        """Ask the step to end. It may have ended already: what ran when the machine died is interrupted."""
        try:
            self.call("POST", f"/steps/{step_id}/cancel", {"reason": "enough"})
        except Refused as refusal:
            assert refusal.code == "invalid_transition", refusal

    def until(self, step_id: str, state: str) -> None:
        """Wait until the step is, or was just, in a state."""
        give_up_at = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up_at:
            if self.call("GET", f"/steps/{step_id}")["state"] == state:
                return
            threading.Event().wait(RETRY_S)
        raise AssertionError(f"{step_id} never was {state}")

    # -- what everybody must agree on

    def database(self) -> psycopg.Connection[tuple[Any, ...]]:
        """The cloud's database, as its superuser: for looking behind every policy."""
        return psycopg.connect(self.stack.postgres.url(role="postgres", database="ropeway"))

    def snapshot_states(self, step_ids: list[str]) -> dict[str, str]:
        """What the cloud last heard of these steps."""
        with self.database() as connection:
            rows = connection.execute(
                "SELECT step_id, state FROM runs_stepsnapshot WHERE step_id = ANY(%s)", [step_ids]
            ).fetchall()
        return dict(rows)

    def open_calls(self) -> list[tuple[str, str]]:
        """Calls that have neither an answer nor an end."""
        with self.database() as connection:
            return connection.execute(
                "SELECT operation, state FROM dispatch_operationcall WHERE state IN ('accepted', 'sent')"
            ).fetchall()

    def starts_per_attempt(self) -> dict[str, int]:
        """How often each attempt's executor was started, as the fakes themselves counted."""
        counted: dict[str, int] = {}
        for attempt_id in self.starts.read_text().split() if self.starts.exists() else ():
            counted[attempt_id] = counted.get(attempt_id, 0) + 1
        return counted

    def agree(self, step_ids: list[str]) -> None:
        """Planner, daemon and snapshot say the same of every step; the snapshot may take a moment."""
        daemon = {step_id: self.call("GET", f"/steps/{step_id}")["state"] for step_id in step_ids}
        give_up_at = time.monotonic() + PATIENCE_S
        while (snapshots := self.snapshot_states(step_ids)) != daemon:
            assert time.monotonic() < give_up_at, f"daemon {daemon}, snapshot {snapshots}"
            threading.Event().wait(RETRY_S)

    def verify(self) -> None:
        """Both chains and the record are intact, nothing is locked, and new work is done in time."""
        begun_at = time.monotonic()
        run_id = self.run()
        step = self.settle(self.submit(run_id, executor="fake-success"))
        assert step["state"] == "completed", step
        assert time.monotonic() - begun_at < PATIENCE_S, step
        give_up_at = time.monotonic() + PATIENCE_S
        while calls := self.open_calls():
            assert time.monotonic() < give_up_at, f"calls without an end: {calls}"
            threading.Event().wait(RETRY_S)
        truth_check(self.stack.daemon_home, starts=self.starts)
        assert all(report["ok"] for report in self.audit_reports())
        assert self.stack.ropeway("verify")["ok"]

    def audit_reports(self) -> list[dict[str, Any]]:
        """The audit's own verification."""
        report = self.stack.cloudctl("audit", "verify")
        return report if isinstance(report, list) else [report]

    # -- killing

    def restart(self, process: Process, **env: str) -> None:
        """Kill a process and start it again, armed or not; one that dies while it starts is started unarmed."""
        process.kill()
        starters = {
            "cloud": self.stack.start_cloud,
            "worker": self.stack.start_worker,
            "daemon": self.stack.start_daemon,
            "connector": self.stack.start_connector,
        }
        starters[process.name](**env)

    @contextmanager
    def armed(self, process: Process, failpoint: str) -> Iterator[threading.Event]:
        """While inside, the process runs with a failpoint armed; it is started again when it dies there. The event says
        that it did."""
        died = threading.Event()
        over = threading.Event()

        def watch() -> None:
            while not over.is_set():
                if process.popen is not None and process.popen.poll() is not None:
                    died.set()
                    self.restart(process)
                    return
                over.wait(0.01)

        try:
            self.restart(process, ROPEWAY_FAILPOINT=failpoint)
        except NotReady:
            died.set()
            self.restart(process)
        watcher = threading.Thread(target=watch, daemon=True)
        if not died.is_set():
            watcher.start()
        try:
            yield died
            died.wait(2)
        finally:
            over.set()
            if watcher.ident is not None:
                watcher.join(PATIENCE_S)


@contextmanager
def world_open(root: Path) -> Iterator[World]:
    """A world from nothing: database, tenant, cloud, worker, daemon, connector, one shared repository."""
    starts = root / "starts"
    stack = LocalStack(root, env={"ROPEWAY_ENV": "test", "ROPEWAY_FAKE_STARTS": str(starts)})
    # What is killed here are processes, never the machine: nothing waits for the disk.
    EmbeddedPostgres(stack.postgres.data_dir, durable=False).ensure_running()
    try:
        stack.prepare_database()
        tenant = stack.bootstrap(organization="acme", project="demo", email="owner@acme.example")
        stack.start_cloud()
        stack.start_worker()
        stack.start_daemon()
        repository = repository_make(root / "repository")
        added = stack.ropeway("repository", "add", str(repository))
        stack.enroll(stack.cloudctl("enroll-code", "create", "--project", tenant.project_id)["code"])
        stack.share(added["repository_id"])
        stack.start_connector()
        world = World(
            stack=stack,
            tenant=tenant,
            repository_id=added["repository_id"],
            repository=repository,
            starts=starts,
        )
        with world._http:
            stack.connector.wait_until(world.is_online, timeout_s=PATIENCE_S)
            yield world
    finally:
        stack.stop()


def command(world: World, argv: list[str], *, failpoint: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run one command of the stack, armed or not."""
    env = {**world.stack.env, **({"ROPEWAY_FAILPOINT": failpoint} if failpoint else {})}
    return subprocess.run(
        argv, cwd=world.stack.cloud.cwd, env=env, capture_output=True, text=True, timeout=60, check=False
    )


def document(done: subprocess.CompletedProcess[str]) -> Any:
    """What a command printed. Raises AssertionError where it failed."""
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)
