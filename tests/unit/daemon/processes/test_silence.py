"""When silence is noticed, and when it isn't: with a clock and a timer that the test moves."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from local_daemon.processes import silence


class Machine:
    """Time that passes only while somebody waits, and what happens in it."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.wall_s, self.ran_s = 1_000_000.0, 50.0
        self.waited: list[float] = []
        self.plan: list[tuple[float, Callable[[], None]]] = []

    def write_at(self, ran_s: float) -> None:
        self.plan.append((50 + ran_s, self._write))

    def clock_set_at(self, ran_s: float, *, by_s: float) -> None:
        def move() -> None:
            self.wall_s += by_s

        self.plan.append((50 + ran_s, move))

    def _write(self) -> None:
        with open(self.log, "a") as file:
            file.write("x")
        os.utime(self.log, (self.wall_s, self.wall_s))

    async def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
        ends_at = self.ran_s + seconds
        for at, happen in sorted((item for item in self.plan if item[0] <= ends_at), key=lambda item: item[0]):
            self._pass(at - self.ran_s)
            happen()
        self.plan = [item for item in self.plan if item[0] > ends_at]
        self._pass(ends_at - self.ran_s)

    def _pass(self, seconds: float) -> None:
        self.ran_s += seconds
        self.wall_s += seconds


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path / "log")
    machine.log.touch()
    os.utime(machine.log, (machine.wall_s, machine.wall_s))
    monkeypatch.setattr(asyncio, "sleep", machine.sleep)
    monkeypatch.setattr(silence.time, "time", lambda: machine.wall_s)
    monkeypatch.setattr(silence.time, "monotonic", lambda: machine.ran_s)
    return machine


async def test_who_never_speaks_is_silent_when_the_time_is_over(machine: Machine) -> None:
    await silence.until_silent([machine.log], for_s=10)
    assert machine.ran_s == 60


async def test_silence_counts_from_the_last_word_to_the_second(machine: Machine) -> None:
    for at in (3, 9, 17, 24):
        machine.write_at(at)
    await silence.until_silent([machine.log], for_s=10)
    assert machine.ran_s == pytest.approx(50 + 34)
    assert len(machine.waited) <= 5


async def test_a_word_on_either_output_counts(machine: Machine, tmp_path: Path) -> None:
    machine.write_at(8)
    await silence.until_silent([tmp_path / "not there", machine.log], for_s=10)
    assert machine.ran_s == pytest.approx(68)


@pytest.mark.parametrize("instead", ["a link to itself", "a file in its folder's place"])
async def test_what_was_put_in_the_place_of_an_output_says_nothing(
    machine: Machine, tmp_path: Path, instead: str
) -> None:
    put = tmp_path / "put"
    if instead == "a link to itself":
        put.symlink_to(put)
    else:
        put.touch()
        put /= "stdout"
    machine.write_at(8)
    await silence.until_silent([put, machine.log], for_s=10)
    assert machine.ran_s == pytest.approx(68)


@pytest.mark.parametrize("by_s", [3600, -3600])
async def test_a_clock_that_is_set_ends_nobody_too_soon(machine: Machine, by_s: float) -> None:
    machine.write_at(5)
    machine.clock_set_at(6, by_s=by_s)
    await silence.until_silent([machine.log], for_s=10)
    assert 65 <= machine.ran_s <= 75
