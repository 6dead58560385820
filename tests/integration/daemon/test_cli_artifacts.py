"""Evidence as an operator gets it: listed, printed, and downloaded whole or not at all."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.daemon.machine import git
from tests.integration.daemon.shell import Operator, at_terminal

LINES = 40_000


@pytest.fixture(scope="module")
def kept(operator: Operator, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A step's result: it changed a file, and a check of it said a lot."""
    task = {
        "goal": "write",
        "executor": "fake-success",
        "params": {"files": {"new.txt": "new\n", "odd.txt": "x \x1b]0;; hidden\x07\n"}},
        "validations": [{"name": "lines", "command": f"seq {LINES}; printf '\\033[31mred\\377' >&2"}],
    }
    path = tmp_path_factory.mktemp("task") / "task.json"
    path.write_text(json.dumps(task))
    result: dict[str, Any] = operator.ask("submit", "--task", str(path), "--wait")
    return result


def view_of(kept: dict[str, Any], name: str) -> dict[str, Any]:
    return next(view for view in kept["artifacts"] if view["name"] == name)


def part_of(target: Path, view: dict[str, Any]) -> Path:
    return target.with_name(f".{target.name}.{view['sha256'][:16]}.part")


def test_all_evidence_of_a_step_is_listed(operator: Operator, kept: dict[str, Any]) -> None:
    page = operator.ask("artifact", "list", kept["step_id"])
    assert page["items"] == kept["artifacts"]
    lines = operator.say("artifact", "list", kept["step_id"]).out.splitlines()
    assert [line.split()[0] for line in lines] == [view["artifact_id"] for view in kept["artifacts"]]


def test_a_list_that_goes_on_says_how_to_read_on(operator: Operator, kept: dict[str, Any]) -> None:
    *_, last = operator.say("artifact", "list", kept["step_id"], "--limit", "1").out.splitlines()
    assert last.startswith("more of them: --cursor ")
    rest = operator.ask("artifact", "list", kept["step_id"], "--cursor", last.split()[-1])
    assert rest["items"] == kept["artifacts"][1:]


def test_an_artifact_is_printed_as_it_is_by_its_name_or_by_its_id(operator: Operator, kept: dict[str, Any]) -> None:
    by_name = operator.say("artifact", "get", kept["step_id"], "lines.stdout")
    by_id = operator.say("artifact", "get", view_of(kept, "lines.stdout")["artifact_id"])
    assert by_name.out == by_id.out == "".join(f"{number}\n" for number in range(1, LINES + 1))
    assert by_name.err == ""


def test_as_json_its_bytes_stand_beside_its_record(operator: Operator, kept: dict[str, Any]) -> None:
    text = operator.ask("artifact", "get", kept["step_id"], "changes.patch")
    assert "+new" in text["text"]
    raw = operator.ask("artifact", "get", kept["step_id"], "lines.stderr")
    assert hashlib.sha256(base64.b64decode(raw["base64"])).hexdigest() == raw["sha256"]


def test_on_a_terminal_nothing_in_it_steers_the_terminal(operator: Operator, kept: dict[str, Any]) -> None:
    shown, code = at_terminal(operator, "artifact", "get", kept["step_id"], "lines.stderr")
    assert code == 0
    assert "red" in shown
    assert "\x1b[31m" not in shown


def test_on_a_terminal_a_patch_hides_nothing_of_itself(operator: Operator, kept: dict[str, Any]) -> None:
    shown, code = at_terminal(operator, "step", "patch", kept["step_id"])
    assert (code, "+x \\x1b]0;; hidden\\x07" in shown) == (0, True)


def test_a_download_is_the_file_that_was_named(operator: Operator, kept: dict[str, Any], tmp_path: Path) -> None:
    target = tmp_path / "mine.patch"
    target.write_text("what was there before")
    document = operator.ask("artifact", "get", kept["step_id"], "changes.patch", "--output", str(target))
    assert document["file"] == str(target)
    assert hashlib.sha256(target.read_bytes()).hexdigest() == document["sha256"]
    assert list(tmp_path.iterdir()) == [target]
    git(operator.repository, "apply", "--check", str(target))


def test_all_evidence_goes_into_a_folder_that_is_made_for_it(
    operator: Operator, kept: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "a" / "b"
    operator.ask("artifact", "get", kept["step_id"], "--output", str(folder))
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()} == {
        view["name"]: view["sha256"] for view in kept["artifacts"]
    }


def test_on_a_terminal_a_bar_shows_how_far_it_is(operator: Operator, kept: dict[str, Any], tmp_path: Path) -> None:
    words = ("artifact", "get", kept["step_id"], "lines.stdout", "--output", str(tmp_path / "lines"))
    shown, code = at_terminal(operator, *words)
    assert code == 0
    assert "lines.stdout" in shown
    assert "100%" in shown
    assert "100%" not in at_terminal(operator, *words, "--quiet")[0]


@pytest.mark.parametrize("came", [1, 100_000, None], ids=["a byte", "half", "all of it"])
def test_a_download_that_broke_off_goes_on_where_it_was(
    operator: Operator, kept: dict[str, Any], tmp_path: Path, came: int | None
) -> None:
    view, target = view_of(kept, "lines.stdout"), tmp_path / "lines"
    whole = operator.say("artifact", "get", view["artifact_id"]).out.encode()
    part_of(target, view).write_bytes(whole[:came])
    operator.ask("artifact", "get", view["artifact_id"], "--output", str(target))
    assert target.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [target]


def test_what_goes_on_from_damaged_bytes_is_thrown_away_and_not_verified(
    operator: Operator, kept: dict[str, Any], tmp_path: Path
) -> None:
    view, target = view_of(kept, "lines.stdout"), tmp_path / "lines"
    part_of(target, view).write_bytes(b"damaged")
    said = operator.say("artifact", "get", view["artifact_id"], "--output", str(target))
    assert said.code == 28
    assert "ropeway verify" in said.err
    assert not list(tmp_path.iterdir())


def test_a_part_that_is_longer_than_the_whole_is_begun_anew(
    operator: Operator, kept: dict[str, Any], tmp_path: Path
) -> None:
    view, target = view_of(kept, "changes.patch"), tmp_path / "patch"
    part_of(target, view).write_bytes(b"x" * (view["size_bytes"] + 1))
    operator.ask("artifact", "get", view["artifact_id"], "--output", str(target))
    assert hashlib.sha256(target.read_bytes()).hexdigest() == view["sha256"]


def test_what_can_not_be_got_is_said_with_what_there_is(
    operator: Operator, kept: dict[str, Any], tmp_path: Path
) -> None:
    nothing = operator.say("artifact", "get", kept["step_id"], "nothing")
    assert nothing.code == 30
    assert "changes.patch" in nothing.err
    without = operator.say("artifact", "get", kept["step_id"])
    assert without.code == 30
    assert "changes.patch" in without.err
    nowhere = operator.say("artifact", "get", kept["step_id"], "changes.patch", "-o", str(tmp_path / "no" / "file"))
    assert nowhere.code == 30
    assert "No such file" in nowhere.err
    both = operator.say("artifact", "get", view_of(kept, "changes.patch")["artifact_id"], "changes.patch")
    assert both.code == 30
