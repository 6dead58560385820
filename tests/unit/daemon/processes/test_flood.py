"""When too much output is noticed, and how seldom it is looked for: with a timer that the test moves."""

import asyncio
from pathlib import Path

import pytest

from local_daemon.processes import flood

GIB = 1024**3


@pytest.fixture
def outputs(tmp_path: Path) -> list[Path]:
    return [tmp_path / "stdout", tmp_path / "stderr"]


def grow(path: Path, size_bytes: int) -> None:
    """Make it that long, without a disk that takes it."""
    with open(path, "ab") as file:
        file.truncate(size_bytes)


async def test_more_than_the_limit_is_noticed_at_once(outputs: list[Path]) -> None:
    for path in outputs:
        grow(path, 3 * GIB)
    await flood.until_flooded(outputs, bytes_max=4 * GIB)


@pytest.mark.parametrize("instead", ["a link to itself", "a file in its folder's place"])
async def test_what_was_put_in_the_place_of_an_output_is_no_flood_and_hides_none(
    outputs: list[Path], monkeypatch: pytest.MonkeyPatch, instead: str
) -> None:
    if instead == "a link to itself":
        outputs[0].symlink_to(outputs[0])
    else:
        outputs[0].touch()
        outputs[0] /= "stdout"
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        grow(outputs[1], 5 * GIB)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    await flood.until_flooded(outputs, bytes_max=4 * GIB)
    assert waited == [4]


async def test_it_is_looked_for_when_it_could_be_there(outputs: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        grow(outputs[0], len(waited) * GIB)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    await flood.until_flooded(outputs, bytes_max=4 * GIB)
    assert waited == [4, 3, 2, 1, 1]


async def test_one_that_prints_nothing_is_looked_at_seldom(
    outputs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await flood.until_flooded(outputs, bytes_max=4 * GIB)
    assert waited == [4, 4, 4]
