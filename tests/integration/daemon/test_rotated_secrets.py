"""A key that was changed after an attempt had printed it is shown by no log of that attempt: a real daemon, killed."""

import shutil
import signal
from pathlib import Path

import pytest

from tests.integration.daemon.door import door_open
from tests.integration.daemon.test_live_output import KEY, SETTINGS, talk_begin

NEW = "team-key-9876543210"


@pytest.mark.parametrize("is_given_up", [False, True], ids=["recovered", "given up"])
def test_what_was_secret_when_it_was_printed_stays_so(tmp_path: Path, repository: Path, is_given_up: bool) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "daemon.toml").write_text(SETTINGS)
    with door_open(home, env={"TEAM_KEY": KEY}) as door:
        repository_id = door.repository_add(repository)
        with talk_begin(door, repository_id, tmp_path) as talk:
            following = talk.followed()
            talk.say(f"begin {KEY}\n")
            assert next(following)[2]["text"] == "begin [redacted:TEAM_KEY]\n"
            talk.say(f"end {KEY}\n")
            next(following)
            door.stop(signal.SIGKILL)
            if is_given_up:
                (worktree,) = (path for path in (home / "worktrees").iterdir() if path.suffix != ".git")
                shutil.rmtree(worktree)
            with door_open(home, env={"TEAM_KEY": NEW}) as again:
                step = again.wait(repository_id, talk.path.rpartition("/")[2])
                assert step["state"] == ("needs_attention" if is_given_up else "failed")
                text = again.get(f"{talk.path}/log")["text"]
                assert KEY not in text
                assert text.count("[redacted:TEAM_KEY") == 2
