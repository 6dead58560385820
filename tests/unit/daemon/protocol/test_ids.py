"""Ids sort by their making, survive every place they are written in, and are told from anything else."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_daemon.protocol import ids

RANDOMNESS = st.integers(0, 2**80 - 1)
MILLISECONDS = st.integers(0, 2**48 - 1)


@pytest.mark.parametrize("prefix", ids.IdPrefix)
def test_a_new_id_is_one_of_its_own_noun_only(prefix: ids.IdPrefix) -> None:
    made = ids.new_id(prefix)
    assert [noun for noun in ids.IdPrefix if ids.is_id(noun, made)] == [prefix]


@given(MILLISECONDS, MILLISECONDS, RANDOMNESS, RANDOMNESS)
def test_ids_sort_as_they_were_made(one: int, other: int, random_one: int, random_other: int) -> None:
    texts = ids.ulid(now_ms=one, randomness=random_one), ids.ulid(now_ms=other, randomness=random_other)
    assert (texts[0] < texts[1]) == ((one, random_one) < (other, random_other))
    assert ids.is_id(ids.IdPrefix.RUN, f"run_{texts[0]}")


@pytest.mark.parametrize(
    "text",
    [
        "", "run_01j0000000000000000000000", "run_01j000000000000000000000000", "RUN_01j00000000000000000000000",
        "run_01J00000000000000000000000", "run_81j00000000000000000000000", "run_01i00000000000000000000000",
        "run_01j00000000000000000000000\n", " run_01j00000000000000000000000", "run-01j00000000000000000000000",
    ],
)  # fmt: skip
def test_anything_else_is_no_id(text: str) -> None:
    assert not ids.is_id(ids.IdPrefix.RUN, text)


@given(st.text(max_size=40))
def test_what_is_an_id_needs_no_quoting_anywhere(text: str) -> None:
    assert not ids.is_id(ids.IdPrefix.STEP, text) or re.fullmatch(r"[a-z0-9_]+", text)


def test_a_uuid_of_the_cloud_is_of_version_7() -> None:
    """RFC 9562, section 5.7."""
    made = [ids.new_uuid7() for _ in range(50)]
    assert {(uuid.version, uuid.variant) for uuid in made} == {(7, "specified in RFC 4122")}
    assert len(set(made)) == 50


def test_uuids_sort_as_they_were_made() -> None:
    """A page's or an export's order is theirs: two rows of one millisecond must not change places."""
    made = [ids.new_uuid7() for _ in range(5_000)]
    assert made == sorted(made)
    assert abs((made[0].int >> 80) - time.time_ns() // 1_000_000) < 60_000
