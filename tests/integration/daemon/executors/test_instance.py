"""What a daemon says of its executors, and a profile that a planner can't name."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.daemon.door import API, Door, door_open
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


def executors(door: Door) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in door.get("/instance")["executors"]}


def until_told(door: Door, name: str, version: str) -> dict[str, Any]:
    """The executor once it has told this version; each look asks the daemon again."""
    deadline = time.monotonic() + 20
    while (found := executors(door)[name])["version"] != version:
        assert time.monotonic() < deadline, found
    return found


def test_a_cli_that_is_installed_upgraded_or_removed_is_seen_without_a_restart(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    with door_open(tmp_path / "home", env={"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}) as door:
        assert not executors(door)["qwen"]["is_available"]
        player = player_install(tmp_path / "bin", "qwen")
        assert executors(door)["qwen"]["is_available"]
        before = until_told(door, "qwen", "999.0.0")
        assert before["reason"] is None
        player.version("0.99.1")
        assert until_told(door, "qwen", "0.99.1")["is_available"]
        player.version("0.1.0")
        assert "older" in until_told(door, "qwen", "0.1.0")["reason"]
        (tmp_path / "bin" / "qwen").unlink()
        assert "PATH" in executors(door)["qwen"]["reason"]


@contextmanager
def told(door: Door) -> Iterator[Iterator[set[str]]]:
    """Follow the executors that can be used; each item is all of them."""
    with door.http.stream("GET", API + "/instance/executors/stream") as answer:
        assert answer.status_code == 200
        yield (set(json.loads(line)["executors"]) for line in answer.iter_lines() if line)


def move_in(root: Path, *, version: str) -> None:
    """Have `qwen` come to the PATH ready to be asked: in one move, as a package manager does."""
    player_install(root / "elsewhere", "qwen").version(version)
    for name in ("qwen.d", "qwen"):
        (root / "elsewhere" / name).rename(root / "bin" / name)


def test_who_follows_is_told_of_a_cli_that_comes_or_goes_without_asking(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    with door_open(tmp_path / "home", env={"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}) as door, told(door) as usable:
        at_first = next(usable)
        assert "qwen" not in at_first
        move_in(tmp_path, version="999.0.0")
        assert next(usable) == at_first | {"qwen"}
        (tmp_path / "bin" / "qwen").unlink()
        assert next(usable) == at_first


def test_a_cli_that_turns_out_too_old_is_told_to_who_follows(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    with door_open(tmp_path / "home", env={"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}) as door, told(door) as usable:
        at_first = next(usable)
        move_in(tmp_path, version="0.1.0")
        assert next(usable) == at_first | {"qwen"}
        assert next(usable) == at_first


def test_the_stream_of_executors_ends_with_the_daemon(tmp_path: Path) -> None:
    with door_open(tmp_path / "home") as door, told(door) as usable:
        next(usable)
        door.stop()
        assert next(usable, None) is None


def test_the_instance_says_how_budgets_are_held_and_which_variables_it_has(own: Door) -> None:
    found = executors(own)
    assert found["codex"]["budgets"] == {"tokens": "end", "cost_usd": "never"}
    assert found["patch"]["budgets"] is None
    assert "PATH" not in own.get("/instance")["environment"]
