"""A daemon whose operator is logged in to a scripted model, with one real CLI; started anew for each CLI."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.executors import model_server
from tests.executors.logins import LOGINS, Login
from tests.integration.daemon.door import Door, door_open
from tests.integration.daemon.machine import repository_make

CLIS = Path(__file__).parents[2] / ".var" / "executors" / "node_modules" / ".bin"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here is opt-in: it needs 1.4 GB of CLIs and minutes."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.executors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One real CLI behind a real daemon, and the model it talks to."""

    login: Login
    model: model_server.ModelServer
    door: Door
    repository: Path
    repository_id: str
    run_id: str

    def submit(self, **task: Any) -> str:
        """Queue a task for the CLI."""
        return self.door.submit(
            self.repository_id, self.run_id, **{"executor": self.login.cli, "profile": f"{self.login.cli}-test", **task}
        )

    def settle(self, step_id: str) -> dict[str, Any]:
        """The step's result once nothing more happens to it by itself."""
        while True:
            answer = self.door.get(f"/repositories/{self.repository_id}/steps/{step_id}/wait", timeout_s=25)
            if not answer["timed_out"]:
                return dict(self.door.get(f"/repositories/{self.repository_id}/steps/{step_id}/result"))

    def do(self, **task: Any) -> dict[str, Any]:
        """Submit and settle."""
        return self.settle(self.submit(**task))

    def attempts(self, step_id: str) -> list[dict[str, Any]]:
        """The step's attempts, oldest first."""
        return list(self.door.get(f"/repositories/{self.repository_id}/steps/{step_id}/attempts")["items"])

    def said(self, step_id: str) -> str:
        """What the newest attempt printed, for whoever has to find out why a test failed."""
        return str(self.door.get(f"/repositories/{self.repository_id}/steps/{step_id}/log")["text"])

    def post(self, path: str, body: Any) -> Any:
        """A POST about the repository that must succeed."""
        answer = self.door.post(f"/repositories/{self.repository_id}{path}", body)
        assert answer.is_success, answer.text
        return answer.json()


@pytest.fixture(scope="module", params=LOGINS, ids=str)
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The bench of each CLI in turn."""
    login: Login = request.param
    if not (CLIS / login.cli).exists():
        pytest.fail(f"{login.cli} is not installed in .var/executors; run `make test-executors`")
    root = tmp_path_factory.mktemp(login.cli)
    operator_home, home = root / "operator", root / "daemon"
    operator_home.mkdir()
    home.mkdir()
    with model_server.serving() as model:
        login.write(operator_home, model.url)
        (home / "daemon.toml").write_text(_settings(login))
        environ = {"HOME": str(operator_home), "PATH": f"{CLIS}:{os.environ['PATH']}", **login.environment(model.url)}
        with door_open(home, env=environ) as door:
            repository = repository_make(root / "repository")
            repository_id = door.repository_add(repository)
            yield Bench(
                login=login,
                model=model,
                door=door,
                repository=repository,
                repository_id=repository_id,
                run_id=door.run_create(repository_id),
            )


def _settings(login: Login) -> str:
    profiles = {f"{login.cli}-test": login.profile, f"{login.cli}-reader": {**login.profile, "sandbox": "read-only"}}
    lines = []
    for name, profile in profiles.items():
        lines += [f"[profiles.{name}]", f'executor = "{login.cli}"', f"environment = {list(login.passed)}"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in profile.items()]
    if login.acp is not None:
        lines += [f"[agents.{login.cli}-acp]", f"command = {json.dumps([login.cli, *login.acp])}"]
        lines += [f"environment = {json.dumps(list(login.environment('')))}"]
    return "\n".join(lines) + "\n"
