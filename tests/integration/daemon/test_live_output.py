"""What a running attempt says, read while it says it: through the doors of a real daemon, from a real process.

The executor prints whatever the test writes into a pipe, and ends when the pipe is closed.
"""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from tests.integration.daemon.door import Door, door_open
from tests.integration.daemon.test_log_stream import followed

KEY = "team-key-0123456789"
SETTINGS = """
[executors]
environment = ["TEAM_KEY"]
[templates.echo]
command = ["/bin/cat", "{params.pipe}"]
params = { pipe = ".+" }
[templates.complain]
command = ["/bin/sh", "-c", "cat \\"$0\\" >&2", "{params.pipe}"]
params = { pipe = ".+" }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """A step whose executor is at work, and the end of the pipe that it repeats."""

    door: Door
    path: str
    pipe: IO[bytes]

    def say(self, words: str) -> None:
        self.pipe.write(words.encode())
        self.pipe.flush()

    def followed(self, last_id: str | None = None, **query: Any) -> Iterator[tuple[str, str, Any]]:
        return followed(self.door, f"{self.path}/log/stream", last_id, **query)

    def log(self, **query: Any) -> Any:
        return self.door.get(f"{self.path}/log", **query)

    def settle(self) -> dict[str, Any]:
        self.pipe.close()
        return dict(self.door.get(f"{self.path}/wait", timeout_s=25)["step"])


@contextmanager
def talk_begin(door: Door, repository_id: str, folder: Path, executor: str = "echo") -> Iterator[Talk]:
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    run_id = door.run_create(repository_id)
    step_id = door.submit(repository_id, run_id, executor=executor, params={"pipe": str(pipe)})
    with open(pipe, "wb") as writing:  # Opens once the executor reads.
        yield Talk(door=door, path=f"/repositories/{repository_id}/steps/{step_id}", pipe=writing)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("daemon") / "home"
    home.mkdir(mode=0o700)
    (home / "daemon.toml").write_text(SETTINGS)
    return home


@pytest.fixture(scope="module")
def door(home: Path) -> Iterator[Door]:
    with door_open(home, env={"TEAM_KEY": KEY}) as opened:
        yield opened


@pytest.fixture
def talk(door: Door, repository_id: str, tmp_path: Path) -> Iterator[Talk]:
    with talk_begin(door, repository_id, tmp_path) as begun:
        yield begun


def test_each_line_reaches_a_follower_while_the_executor_works_on(talk: Talk) -> None:
    following = talk.followed()
    said = ""
    for words in ("one\n", "two\n", "three, half a line,"):
        talk.say(words)
        _, name, chunk = next(following)
        assert (name, chunk["text"], chunk["is_complete"]) == ("chunk", words, False)
        said += words
    assert talk.door.get(talk.path)["state"] == "running"
    talk.settle()
    assert [name for _, name, _ in following] == ["end"]
    assert talk.log()["text"] == said


def test_it_can_be_asked_for_from_any_offset(talk: Talk) -> None:
    talk.say("one\ntwo\n")
    next(talk.followed())
    first = talk.log()
    assert (first["text"], first["next_offset"], first["is_complete"]) == ("one\ntwo\n", 8, False)
    assert talk.log(offset=4)["text"] == "two\n"
    assert talk.log(offset=8)["text"] == ""
    assert talk.door.http.get(f"http://localhost/api/v1{talk.path}/log", params={"offset": 9}).status_code == 416
    talk.settle()
    assert talk.log()["is_complete"]


def test_what_is_not_said_yet_is_waited_for_as_long_as_asked(talk: Talk) -> None:
    talk.say("one\n")
    next(talk.followed())
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(talk.log, offset=4, wait_s=25)
        talk.say("two\n")
        assert waiting.result(timeout=20)["text"] == "two\n"
    begun = time.monotonic()
    assert talk.log(offset=8, wait_s=0.3)["text"] == ""
    assert time.monotonic() - begun >= 0.3


def test_waiting_for_more_ends_with_the_output(talk: Talk) -> None:
    talk.say("one\n")
    next(talk.followed())
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(talk.log, offset=4, wait_s=25)
        talk.settle()
        assert waiting.result(timeout=20)["is_complete"]


def test_what_is_read_live_is_how_the_artifact_begins(talk: Talk) -> None:
    live = ""
    talk.say("begin\n")
    for number, (_, name, chunk) in enumerate(talk.followed(length=7)):
        live += chunk["text"] if name == "chunk" else ""
        if number < 40:
            talk.say(f"line {number}, é, {KEY}\n")
        elif number == 40:
            talk.settle()
    assert live.count("[redacted:TEAM_KEY]") == 40
    assert live == talk.log()["text"]


def test_an_output_longer_than_what_is_kept_is_followed_to_its_end(talk: Talk) -> None:
    line = "é" * 511 + "\n"
    following, heard, said = talk.followed(length=96 * 1024), 0, 0
    for _ in range(10):
        talk.say(line * 1024)
        said += len(line.encode()) * 1024
        while heard < said:
            _, _, chunk = next(following)
            assert not chunk["text"].strip("é\n")
            heard = chunk["next_offset"]
    talk.say("still there\n")
    assert next(following)[2]["text"] == "still there\n"
    talk.settle()
    assert [name for _, name, _ in following] == ["end"]
    size = said + len("still there\n")
    assert talk.log(offset=size - 12) == {**talk.log(offset=size - 12), "text": "still there\n", "size_bytes": size}
    missing = talk.log(offset=7 * 2**20)
    assert missing["text"] == f"\n[{size - 2 * 2**20 - 7 * 2**20} of {size} bytes left out here]\n"
    assert missing["next_offset"] == size - 2 * 2**20


def test_no_secret_and_no_place_of_the_machine_leaves_with_it_even_in_two_halves(
    talk: Talk, repository: Path, home: Path
) -> None:
    following = talk.followed()
    talk.say(f"begin\n{KEY[:9]}")
    assert next(following)[2]["text"] == "begin\n"
    talk.say(f"{KEY[9:]} {repository}/a {home}/b\n{str(repository)[:12]}")
    assert next(following)[2]["text"] == "[redacted:TEAM_KEY] [repository]/a [daemon]/b\n"
    talk.settle()


def test_a_follower_that_was_cut_off_goes_on_where_it_was(talk: Talk) -> None:
    talk.say("one\n")
    seen, _, _ = next(talk.followed())
    talk.say("two\n")
    assert next(talk.followed(seen))[2]["text"] == "two\n"
    talk.settle()


def test_many_follow_at_once_and_each_is_told_all(talk: Talk) -> None:
    following = [talk.followed() for _ in range(5)]
    talk.say("one\n")
    assert [next(each)[2]["text"] for each in following] == ["one\n"] * 5
    talk.settle()
    assert [[name for _, name, _ in each] for each in following] == [["end"]] * 5


def test_what_it_complains_is_a_log_of_its_own(door: Door, repository_id: str, tmp_path: Path) -> None:
    with talk_begin(door, repository_id, tmp_path, executor="complain") as talk:
        talk.say("ouch\n")
        assert next(talk.followed(stream="stderr"))[2]["text"] == "ouch\n"
        assert talk.log()["text"] == ""
        talk.settle()


def test_after_a_crash_the_log_so_far_is_read_and_followed_from_where_one_was(
    home: Path, repository: Path, tmp_path: Path
) -> None:
    other = tmp_path / "home"
    other.mkdir(mode=0o700)
    (other / "daemon.toml").write_text(SETTINGS)
    with door_open(other, env={"TEAM_KEY": KEY}) as door:
        repository_id = door.repository_add(repository)
        with talk_begin(door, repository_id, tmp_path) as talk:
            talk.say("one\n")
            following = talk.followed()
            first, _, _ = next(following)
            talk.say(f"two {KEY}\nthr,")
            assert next(following)[2]["text"] == "two [redacted:TEAM_KEY]\nthr,"
            door.stop(signal.SIGKILL)
            with door_open(other, env={"TEAM_KEY": KEY}) as again:
                *chunks, end = followed(again, f"{talk.path}/log/stream", first)
                assert "".join(chunk["text"] for _, _, chunk in chunks) == "two [redacted:TEAM_KEY]\nthr,"
                assert end[1] == "end"
                step = again.wait(repository_id, talk.path.rpartition("/")[2])
                assert step["failure"]["kind"] == "interrupted"
                assert again.get(f"{talk.path}/log")["text"] == "one\ntwo [redacted:TEAM_KEY]\nthr,"
