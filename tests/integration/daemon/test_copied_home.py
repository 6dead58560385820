"""A home that was copied: the copy says so and serves nothing until its operator has said what it is."""

import json
import shutil
from pathlib import Path

import pytest

from tests.integration.daemon.machine import repository_make
from tests.integration.daemon.shell import Operator

SUBMIT = ("submit", "--goal", "g", "--executor", "fake-success", "--wait")


@pytest.fixture
def copy(newcomer: Operator, tmp_path: Path) -> Operator:
    """An operator whose home is a copy of one that has worked."""
    newcomer.ask(*SUBMIT)
    newcomer.daemon_kill()
    shutil.copytree(newcomer.home, tmp_path / "copy", ignore=shutil.ignore_patterns("daemon.sock", "daemon.json"))
    return Operator(home=tmp_path / "copy", repository=newcomer.repository)


def test_a_copy_is_not_served_and_says_the_way_out(copy: Operator) -> None:
    for words in (("daemon",), SUBMIT, ("init",)):
        said = copy.say(*words)
        assert said.code in (30, 41)
        assert "Give it an identity of its own with `ropeway identity renew`." in said.err
    assert not (copy.home / "daemon.json").exists()
    assert copy.say("doctor").code == 29
    assert "ropeway identity keep" in copy.say("doctor").out


def test_a_renewed_copy_is_another_daemon_that_keeps_its_evidence(copy: Operator, newcomer: Operator) -> None:
    assert "Give it an identity of its own with `ropeway identity renew`." in copy.say("identity", "show").out
    before = copy.ask("identity", "show")
    assert before["is_copied"]
    renewed = copy.ask("identity", "renew")
    assert not renewed["is_copied"]
    assert renewed["instance_id"] != before["instance_id"]
    assert (copy.home / "token").read_text() != (newcomer.home / "token").read_text()
    try:
        assert copy.ask(*SUBMIT)["state"] == "completed"
        verified = copy.ask("verify")
        assert (verified["ok"], verified["signatures"]) == (True, 2)
    finally:
        copy.daemon_kill()


def test_a_home_that_was_moved_here_is_kept_as_it_is(copy: Operator) -> None:
    before = copy.ask("identity", "show")["instance_id"]
    assert copy.ask("identity", "keep") | {"instance_id": before} == copy.ask("identity", "show")
    try:
        assert copy.ask(*SUBMIT)["state"] == "completed"
    finally:
        copy.daemon_kill()


def test_a_renamed_home_is_no_copy(newcomer: Operator, tmp_path: Path) -> None:
    newcomer.ask(*SUBMIT)
    newcomer.daemon_kill()
    moved = Operator(home=tmp_path / "elsewhere", repository=newcomer.repository)
    newcomer.home.rename(moved.home)
    try:
        assert moved.ask(*SUBMIT)["state"] == "completed"
    finally:
        moved.daemon_kill()


def test_another_machine_is_noticed_where_the_disk_was_cloned(newcomer: Operator) -> None:
    newcomer.ask(*SUBMIT)
    newcomer.daemon_kill()
    recorded = json.loads((newcomer.home / "place.json").read_text())
    (newcomer.home / "place.json").write_text(json.dumps({**recorded, "machine": "0" * 64}))
    shown = newcomer.ask("identity", "show")
    # A machine without an id, as a container may be, can't be told from another.
    assert shown["is_copied"] == (recorded["machine"] is not None)


def test_the_identity_of_a_running_daemon_stays(newcomer: Operator) -> None:
    newcomer.ask("init")
    said = newcomer.say("identity", "renew")
    assert said.code == 30
    assert "stop it first" in said.err


def test_a_home_without_an_identity_says_so(tmp_path: Path) -> None:
    nobody = Operator(home=tmp_path / "none", repository=repository_make(tmp_path / "r"))
    assert nobody.say("identity", "show").code == 30
