"""`ropeway watch` on a terminal and without one."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.integration.daemon.shell import Operator

COMES_WITHIN_S = 40


@dataclass(slots=True, kw_only=True)
class Screen:
    """A terminal on which `ropeway watch` runs."""

    process: "subprocess.Popen[bytes]"
    terminal: int
    shown: bytes = field(default=b"")

    def until(self, *words: str) -> None:
        """Read until all of these were drawn since the last time."""
        while not all(word.encode() in self.shown for word in words):
            assert select.select([self.terminal], [], [], COMES_WITHIN_S)[0], (words, self.shown[-3000:])
            self.shown += os.read(self.terminal, 65536)
        self.shown = b""

    def press(self, keys: str) -> None:
        os.write(self.terminal, keys.encode())

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process.send_signal(signal.SIGWINCH)

    def ended(self) -> int:
        """The exit code, once the terminal has been read to its end."""
        try:
            while os.read(self.terminal, 65536):
                continue
        except OSError:
            pass  # Linux says EIO when the last process has left the terminal.
        return self.process.wait(COMES_WITHIN_S)


@contextmanager
def screen_open(operator: Operator, *words: str, rows: int = 30, columns: int = 100) -> Iterator[Screen]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen(
        operator.argv("watch", *words),
        cwd=operator.repository,
        env={**operator.env, "TERM": "xterm-256color", "LANG": "C.UTF-8"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        yield Screen(process=process, terminal=ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def waiting_run(operator: Operator, executor: str, *more: str) -> str:
    step = operator.say("submit", "--goal", "do it", "--executor", executor, "--wait", "--json", *more).document
    return str(step["run_id"])


def gated_run(operator: Operator, tmp_path: Path) -> str:
    (tmp_path / "task.yaml").write_text("goal: write\nexecutor: fake-success\ngates: {after: always}\n")
    said = operator.say("submit", "--task", str(tmp_path / "task.yaml"), "--wait", "--json")
    assert said.code == 10, said
    return str(said.document["run_id"])


def test_a_gate_is_approved_by_key_and_the_work_goes_on(operator: Operator, tmp_path: Path) -> None:
    run_id = gated_run(operator, tmp_path)
    with screen_open(operator, run_id) as screen:
        screen.until("a decision is asked for", "fake-success.txt", "approve exactly this")
        screen.press("a")
        screen.until("approve exactly this? y")
        screen.press("y")
        screen.until("completed")
        screen.press("q")
        assert screen.ended() == 0
    assert operator.ask("run", "get", run_id)["state"] == "completed"


def test_a_gate_is_rejected_with_a_reason(operator: Operator, tmp_path: Path) -> None:
    run_id = gated_run(operator, tmp_path)
    with screen_open(operator, run_id) as screen:
        screen.until("a decision is asked for")
        screen.press("rnot like thjs\x7f\x7fis\r")
        screen.until("failed")
        screen.press("q")
        assert screen.ended() == 0
    gates = operator.ask("gate", "list", "--all")["items"]
    assert next(gate for gate in gates if gate["run_id"] == run_id)["comment"] == "not like this"


def test_a_question_is_answered_in_place(operator: Operator) -> None:
    run_id = waiting_run(operator, "fake-blocker")
    with screen_open(operator, run_id) as screen:
        screen.until("a decision is asked for", "e answer")
        screen.press("ego on\r")
        screen.until("answered")
        screen.press("q")
        assert screen.ended() == 0


def test_what_each_gate_is_about_is_shown_when_its_turn_comes(operator: Operator) -> None:
    run_id = operator.ask("run", "create", "two things")["run"]["run_id"]
    for goal in ("the first thing", "the second thing"):
        task = f"goal: {goal}\nexecutor: fake-success\ngates: {{before: true}}\n"
        operator.say("submit", "--task", "-", "--run", run_id, "--wait", stdin=task)
    with screen_open(operator, run_id) as screen:
        screen.until("is to: the second thing", "1 of 2")
        screen.press("\t")
        screen.until("is to: the first thing", "2 of 2")
        screen.press("a")
        screen.until("approve exactly this? y")
        screen.press("y")
        screen.until("is to: the second thing")
        screen.press("q")
        assert screen.ended() == 0


def test_a_decision_can_be_dropped_before_it_is_made(operator: Operator, tmp_path: Path) -> None:
    run_id = gated_run(operator, tmp_path)
    with screen_open(operator, run_id) as screen:
        screen.until("a decision is asked for")
        screen.press("a")
        screen.until("exactly this? y")
        screen.press("n")
        screen.until("a approve exactly this")
        screen.press("q")
        assert screen.ended() == 0
    assert operator.ask("run", "get", run_id)["state"] == "waiting"


def test_it_follows_the_next_run_and_draws_for_another_size(newcomer: Operator) -> None:
    newcomer.ask("init")
    with screen_open(newcomer) as screen:
        screen.until("Waiting for a run")
        newcomer.ask("submit", "--goal", "the very first", "--executor", "fake-success")
        screen.until("the very first", "completed")
        screen.resize(12, 60)
        screen.until("the very first")
        screen.press("q")
        assert screen.ended() == 0


def test_a_small_terminal_shows_the_step_how_to_decide_and_the_way_out(operator: Operator, tmp_path: Path) -> None:
    run_id = gated_run(operator, tmp_path)
    with screen_open(operator, run_id, rows=12, columns=40) as screen:
        screen.until("write", "waiting", "a approve exactly this   r reject", "q quit")
        screen.press("rnot like this, and I say at some length why it is not\r")
        screen.until("failed", "q quit")
        screen.press("q")
        assert screen.ended() == 0


def test_the_terminal_is_left_as_it_was_found_even_by_an_interrupt(operator: Operator) -> None:
    operator.ask("submit", "--goal", "g", "--executor", "fake-success", "--wait")
    with screen_open(operator) as screen:
        before = termios.tcgetattr(screen.terminal)
        screen.until("q quit")
        screen.process.send_signal(signal.SIGINT)
        assert screen.process.wait(COMES_WITHIN_S) == 130
        assert termios.tcgetattr(screen.terminal) == before


def test_what_the_executor_says_is_shown_while_it_works(newcomer: Operator, tmp_path: Path) -> None:
    newcomer.home.mkdir(mode=0o700)
    (newcomer.home / "daemon.toml").write_text(
        f"[templates.echo]\ncommand = ['/bin/cat', '{tmp_path / 'pipe'}']\n[executors]\ndefault = 'echo'\n"
    )
    os.mkfifo(tmp_path / "pipe")
    newcomer.ask("submit", "--goal", "talk to us")
    with open(tmp_path / "pipe", "w") as says:
        print("before anybody watched", file=says, flush=True)
        with screen_open(newcomer) as screen:
            screen.until("output of talk to us", "before anybody watched")
            print('{"type":"assistant","text":"while one watches"}', file=says, flush=True)
            screen.until("assistant  while one watches")
            says.close()
            screen.until("completed")
            screen.press("q")
            assert screen.ended() == 0


# -- without a terminal


@pytest.mark.parametrize(("executor", "code"), [("fake-success", 0), ("fake-failure", 20)])
def test_without_a_terminal_each_change_is_a_line_until_the_run_has_ended(
    operator: Operator, executor: str, code: int
) -> None:
    run_id = operator.ask("submit", "--goal", "g", "--executor", executor)["run_id"]
    said = operator.say("watch", run_id)
    assert said.code == code, said
    assert said.out.splitlines()[-1] == f"{run_id} is {'completed' if code == 0 else 'failed'}"
    assert "\x1b" not in said.out


def test_as_json_it_is_one_document_of_what_is_on_show(operator: Operator, tmp_path: Path) -> None:
    run_id = gated_run(operator, tmp_path)
    shown = operator.ask("watch", run_id)
    assert (shown["run"]["run_id"], len(shown["steps"]), len(shown["gates"])) == (run_id, 1, 1)


def test_a_picture_of_it_is_written_where_it_is_wanted(operator: Operator, tmp_path: Path) -> None:
    run_id = gated_run(operator, tmp_path)
    operator.say("watch", run_id, "--svg", str(tmp_path / "watch.svg"))
    picture = (tmp_path / "watch.svg").read_text()
    assert picture.startswith("<svg")
    assert str(tmp_path) not in picture


def test_a_run_that_is_not_there_is_said(operator: Operator) -> None:
    operator.ask("init")
    assert operator.say("watch", "run_01j00000000000000000000000").code == 30
    assert operator.say("watch", "nothing").code == 30
