"""What the connector's commands say, and the codes they end with."""

import json
from pathlib import Path

import pytest

from connector_agent import config as settings
from tests.integration.connector.scripted_daemon import PRIVATE_REPOSITORY, REPOSITORY, daemon_open
from tests.integration.connector.shell import command
from tests.integration.connector.test_serving import say_target


async def test_help_names_every_command(home: settings.Home) -> None:
    code, said, _ = await command(home, "--help")
    assert code == 0
    assert all(name in said for name in ("enroll", "run", "share", "unshare", "discover", "list", "status", "doctor"))


async def test_discover_tells_what_is_shared_as_one_document(home: settings.Home, root: Path) -> None:
    async with daemon_open(root / "d", say_target):
        code, said, _ = await command(home, "discover", "--json")
    assert (code, {row["repository_id"]: row["is_shared"] for row in json.loads(said)}) == (
        0,
        {REPOSITORY: True, PRIVATE_REPOSITORY: False},
    )


async def test_only_what_the_daemon_knows_can_be_shared(home: settings.Home, root: Path) -> None:
    unknown = "repo_" + "0" * 26
    async with daemon_open(root / "d", say_target):
        assert (await command(home, "share", unknown))[0] == 30
        assert (await command(home, "share", PRIVATE_REPOSITORY, "--label", "größer 🚡"))[0] == 0
    assert settings.config_read(home).shared() == {REPOSITORY: None, PRIVATE_REPOSITORY: "größer 🚡"}


async def test_unshare_takes_a_repository_back(home: settings.Home) -> None:
    assert (await command(home, "unshare", REPOSITORY))[0] == 0
    assert (await command(home, "unshare", REPOSITORY))[0] == 30
    assert json.loads((await command(home, "list", "--json"))[1]) == []


@pytest.mark.parametrize("arguments", [("run",), ("doctor",)])
async def test_who_is_not_enrolled_is_told_so(home: settings.Home, arguments: tuple[str, ...]) -> None:
    code, _, complaint = await command(home, *arguments)
    assert (code, "enroll" in complaint) == (30, True)


async def test_a_daemon_that_is_away_is_said(home: settings.Home) -> None:
    code, _, complaint = await command(home, "discover")
    assert (code, "daemon does not answer" in complaint, "ropeway daemon" in complaint) == (30, True, True)
    assert (await command(home, "unshare", REPOSITORY))[0] == 0
    assert "Nothing is shared" in (await command(home, "list"))[1]


@pytest.mark.parametrize("content", ["", "[]", "{}"])
async def test_a_status_that_says_nothing_is_no_mishap(home: settings.Home, content: str) -> None:
    home.status.write_text(content)
    code, said, _ = await command(home, "status", "--json")
    assert (code, json.loads(said)["state"]) == (0, "never ran")


async def test_settings_that_are_wrong_are_one_sentence(home: settings.Home) -> None:
    home.config.write_text("shares = 1")
    code, _, complaint = await command(home, "list")
    assert (code, complaint.count("\n")) == (30, 1)


async def test_a_label_that_nobody_could_read_is_one_sentence(home: settings.Home, root: Path) -> None:
    async with daemon_open(root / "d", say_target):
        code, _, _ = await command(home, "share", PRIVATE_REPOSITORY, "--label", "x" * 1000)
    assert code == 30
    assert PRIVATE_REPOSITORY not in settings.config_read(home).shared()
