from typing import cast

import pytest

from local_daemon.cli import naming
from local_daemon.client.http import DaemonClient
from local_daemon.protocol import errors, ids

REPOSITORY = "repo_" + "0" * 26
NOBODY = cast(DaemonClient, object())
"""Asked, it fails."""


def test_a_whole_id_is_taken_as_it_is_and_nobody_is_asked() -> None:
    step_id = ids.new_id(ids.IdPrefix.STEP)
    assert naming.place_find(NOBODY, REPOSITORY, ids.IdPrefix.STEP, step_id) == {
        "repository_id": REPOSITORY,
        "step_id": step_id,
    }


@pytest.mark.parametrize(
    "word",
    ["", "nothing", "01j", "step_01j", "step_", "Latest", "01jo", "step_01j0/../x", "0" * 27, "8" + "0" * 25, "_01j0"],
)
def test_what_can_be_no_id_is_refused_before_anybody_is_asked(word: str) -> None:
    with pytest.raises(errors.InvalidRequest, match="not the id of a step"):
        naming.place_find(NOBODY, REPOSITORY, ids.IdPrefix.STEP, word)


def test_another_noun_s_id_is_named_as_such() -> None:
    with pytest.raises(errors.InvalidRequest, match="is of a run; here a step is meant"):
        naming.place_find(NOBODY, REPOSITORY, ids.IdPrefix.STEP, ids.new_id(ids.IdPrefix.RUN))
    with pytest.raises(errors.InvalidRequest, match="is of an artifact; here a gate is meant"):
        naming.place_find(NOBODY, REPOSITORY, ids.IdPrefix.GATE, "art_01j0")


@pytest.mark.parametrize(
    ("word", "is_no_name"),
    [("latest", True), ("run_01m7", True), ("run_tests", False), ("01m7", False), ("nightly", False), ("run_1", False)],
)
def test_where_a_name_may_stand_only_what_looks_like_an_id_is_one(word: str, is_no_name: bool) -> None:
    assert naming.is_no_name(ids.IdPrefix.RUN, word) is is_no_name


def test_an_ambiguous_beginning_is_a_wrong_request_of_its_own_kind() -> None:
    assert issubclass(naming.AmbiguousId, errors.InvalidRequest)
    assert naming.AmbiguousId(candidates=["a"]).problem()["code"] == "invalid_request"
