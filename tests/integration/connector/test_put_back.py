"""A daemon's home that was put back to an older copy of itself: the connector finds it, and says so."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from connector_agent import comparison
from connector_agent import config as settings
from connector_agent.daemon_client import DaemonClient
from local_daemon.protocol import envelopes, errors, ids
from tests.integration.connector.scripted_daemon import LOG, REPOSITORY, STREAM, ScriptedDaemon, daemon_open
from tests.integration.connector.scripted_relay import WITHIN_S, RelayLink, relay_open
from tests.integration.connector.shell import command
from tests.integration.connector.test_dialer import logged, running
from tests.integration.daemon.door import API, door_open
from tests.integration.daemon.machine import repository_make

OLD, NEW = "1" * 64, "2" * 64
OTHER_LOG = str(ids.new_id(ids.IdPrefix.LOG))


def follow(after_seq: int, digest: str | None, *, log_id: str = LOG) -> envelopes.Follow:
    return envelopes.Follow(repository_id=REPOSITORY, log_id=log_id, after_seq=after_seq, after_hash=digest)


async def say_nothing(target: str, writer: asyncio.StreamWriter) -> None:
    writer.write(STREAM)


async def compared(root: Path, asked: envelopes.Follow, *hashes: str) -> comparison.PutBack | None:
    async with daemon_open(root / "d", say_nothing) as daemon:
        daemon.log.hashes = list(hashes)
        client = DaemonClient(root / "d")
        try:
            return await comparison.log_compare(client, asked)
        finally:
            await client.close()


@pytest.mark.parametrize(
    ("asked", "hashes"),
    [
        (follow(2, NEW), [OLD, NEW]),
        (follow(2, NEW), [OLD, NEW, OLD]),
        (follow(0, None), []),
        (follow(0, "0" * 64), []),
        (follow(2, None), [OLD]),
    ],
    ids=["at its head", "with more to come", "from the beginning", "from an empty log", "by a relay that says no hash"],
)
async def test_a_log_that_was_taken_in_is_the_same(root: Path, asked: envelopes.Follow, hashes: list[str]) -> None:
    assert await compared(root, asked, *hashes) is None


@pytest.mark.parametrize(
    "hashes", [[], [OLD], [OLD, OLD], [OLD, OLD, NEW]], ids=["empty", "shorter", "as long", "longer"]
)
async def test_a_log_that_lacks_what_was_taken_in_was_put_back(root: Path, hashes: list[str]) -> None:
    found = await compared(root, follow(2, NEW), *hashes)
    assert found == comparison.PutBack(repository_id=REPOSITORY, log_id=LOG, taken_in_seq=2, head_seq=len(hashes))


async def test_another_log_is_no_log_that_was_put_back(root: Path) -> None:
    with pytest.raises(errors.PreconditionFailed):
        await compared(root, follow(2, NEW, log_id=OTHER_LOG), OLD)


async def asked_to_follow(link: RelayLink, *, after_seq: int, digest: str) -> None:
    await link.until(envelopes.Advertise)
    await link.send(follow(after_seq, digest))


async def test_a_log_that_was_put_back_is_said_by_status_and_doctor(home: settings.Home, root: Path) -> None:
    async with daemon_open(root / "d", say_nothing) as daemon, relay_open() as relay:
        daemon.log.hashes = [OLD]
        async with running(home, relay) as process:
            await asked_to_follow(await relay.link(), after_seq=2, digest=NEW)
            await logged(process, "log.put_back")
            _, document, _ = await command(home, "status", "--json")
            _, status, _ = await command(home, "status")
            _, doctor, _ = await command(home, "doctor")
    assert json.loads(document)["findings"] == [
        {"code": "log_put_back", "repository_id": REPOSITORY, "log_id": LOG, "taken_in_seq": 2, "head_seq": 1}
    ]
    for said in (status, doctor):
        assert "put back" in said
        assert "ropeway identity renew" in said


async def test_once_the_newer_home_is_back_nothing_is_said_any_more(home: settings.Home, root: Path) -> None:
    followed = asyncio.Event()

    async def answering(target: str, writer: asyncio.StreamWriter) -> None:
        await say_nothing(target, writer)
        followed.set()

    async with daemon_open(root / "d", answering) as daemon, relay_open() as relay:
        daemon.log.hashes = [OLD]
        async with running(home, relay) as process, asyncio.timeout(WITHIN_S):
            link = await relay.link()
            await asked_to_follow(link, after_seq=2, digest=NEW)
            await logged(process, "log.put_back")
            await followed.wait()
            followed.clear()
            daemon.log.hashes = [OLD, NEW]
            await link.send(follow(2, NEW))
            await followed.wait()
            assert json.loads((await command(home, "status", "--json"))[1])["findings"] == []


async def test_a_log_put_back_while_the_link_is_open_is_told_by_a_new_link(home: settings.Home, root: Path) -> None:
    followed = asyncio.Event()

    async def answering(target: str, writer: asyncio.StreamWriter) -> None:
        await say_nothing(target, writer)
        followed.set()

    async with daemon_open(root / "d", answering) as daemon, relay_open() as relay, asyncio.timeout(2 * WITHIN_S):
        daemon.log.hashes = [OLD, NEW]
        async with running(home, relay) as process:
            first = await relay.link()
            await asked_to_follow(first, after_seq=2, digest=NEW)
            await followed.wait()
            put_back(daemon)
            await first.until(envelopes.Advertise, count=2)
            await first.send(follow(2, NEW))
            await logged(process, "log.put_back")
            second = await relay.link()
            await asked_to_follow(second, after_seq=2, digest=NEW)
            # Compared before anything else is advertised, or the link would be renewed once more.
            await logged(process, "log.put_back")
            # Told once is enough: this link stays.
            daemon.executors_change("codex")
            await second.until(envelopes.Advertise, lambda frame: frame.executors == ("codex",))
            assert not second.ended.is_set()


def put_back(daemon: ScriptedDaemon) -> None:
    """As a daemon that is stopped, put back and started again."""
    daemon.log.hashes = daemon.log.hashes[:-1]
    daemon.drop()


async def test_a_real_home_that_was_copied_back_is_found(home: settings.Home, root: Path) -> None:
    """The whole home, with its identity and its log, and more work on it than was lost."""
    daemon_home = root / "d"
    with door_open(daemon_home) as door:
        repository_id = door.repository_add(repository_make(root / "r"))
        door.run_create(repository_id)
    shutil.copytree(daemon_home, root / "copy")
    with door_open(daemon_home) as door:
        door.run_create(repository_id)
        taken_in = door.get(f"/repositories/{repository_id}")
    for entry in daemon_home.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    shutil.copytree(root / "copy", daemon_home, dirs_exist_ok=True)
    with door_open(daemon_home) as door:
        assert door.http.get(API + "/instance").status_code == 200
        asked = envelopes.Follow(
            repository_id=repository_id,
            log_id=taken_in["log_id"],
            after_seq=taken_in["head_seq"],
            after_hash=taken_in["head_hash"],
        )
        client = DaemonClient(daemon_home)
        behind = await comparison.log_compare(client, asked)
        door.run_create(repository_id)
        door.run_create(repository_id)
        ahead = await comparison.log_compare(client, asked)
        await client.close()
    assert behind is not None and ahead is not None
    assert behind.head_seq < taken_in["head_seq"] < ahead.head_seq
