"""What a daemon says of its executors, and a profile that a planner can't name."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.daemon.door import Door, door_open
from tests.integration.daemon.executors.player import player_install
from tests.integration.daemon.machine import repository_make

SETTINGS = """
[profiles.quick]
executor = "codex"
model = "small"

[templates.formatter]
command = ["no-such-formatter", "{goal}"]
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A daemon with settings, on a PATH with one CLI."""
    root = tmp_path_factory.mktemp("own")
    player_install(root / "bin", "codex")
    home = root / "home"
    home.mkdir()
    (home / "daemon.toml").write_text(SETTINGS)
    with door_open(home, env={"PATH": f"{root / 'bin'}:/usr/bin:/bin"}) as opened:
        yield opened


def test_the_instance_lists_executors_with_reasons_and_profiles(own: Door) -> None:
    executors = {each["name"]: each for each in own.get("/instance")["executors"]}
    assert executors["codex"]["is_available"]
    assert executors["codex"]["profiles"] == ["quick"]
    assert not executors["claude"]["is_available"]
    assert "PATH" in executors["claude"]["reason"]
    assert "no-such-formatter" in executors["formatter"]["reason"]


@pytest.mark.parametrize(("executor", "profile"), [("codex", "thorough"), ("claude", "quick"), ("patch", "quick")])
def test_a_profile_that_is_not_that_executors_is_refused(
    own: Door, tmp_path: Path, executor: str, profile: str
) -> None:
    repository_id = own.repository_add(repository_make(tmp_path / "r"))
    task = {"goal": "g", "executor": executor, "profile": profile}
    if executor == "patch":
        task["patch"] = "x"
    run_id = own.run_create(repository_id)
    answer = own.post(f"/repositories/{repository_id}/runs/{run_id}/steps", {"task": task})
    assert answer.status_code == 400
    assert "profile" in answer.json()["detail"]
