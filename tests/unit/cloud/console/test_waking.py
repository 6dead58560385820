"""Which open pages are woken by what: those that may show it, and no others."""

from uuid import UUID, uuid4

import pytest

from cloud.connectors import links
from cloud.console import waking
from cloud.console.waking import Followers, Page, Waiting
from cloud.runs import feed
from cloud.tenancy import revocations
from local_daemon.protocol import ids

ACME, GLOBEX, PROJECT, OTHER_PROJECT = (uuid4() for _ in range(4))
RUN, OTHER_RUN = (ids.new_id(ids.IdPrefix.RUN) for _ in range(2))


def page(organization_id: UUID | None = ACME, **facts: object) -> Page:
    return Page(session=uuid4(), user_id=uuid4(), organization_id=organization_id, **facts)  # type: ignore[arg-type]


def grown(*run_ids: str | None, organization_id: UUID = ACME, project_id: UUID = PROJECT) -> tuple[str, str]:
    growth = feed.growth_of(organization_id=organization_id, project_id=project_id, run_ids=run_ids)
    return feed.CHANNEL, growth.payload


def woken(looked_at: Page, told: tuple[str, str]) -> bool:
    followers = Followers()
    with followers.following(looked_at) as waiting:
        followers.hear(*told)
        return waiting.moved.is_set()


@pytest.mark.parametrize(
    ("looked_at", "is_woken"),
    [
        (page(run_id=RUN), True),
        (page(run_id=OTHER_RUN), False),
        (page(), True),
        (page(project_ids=frozenset({PROJECT})), True),
        (page(project_ids=frozenset({OTHER_PROJECT})), False),
        (page(GLOBEX), False),
        (page(GLOBEX, run_id=RUN), False),
        (page(None), True),
    ],
)
def test_a_run_that_moves_wakes_its_own_page_and_those_that_follow_everything(looked_at: Page, is_woken: bool) -> None:
    assert woken(looked_at, grown(RUN)) is is_woken


def test_what_happened_in_no_run_wakes_no_runs_page() -> None:
    assert not woken(page(run_id=RUN), grown(None))
    assert woken(page(), grown(None))


def test_more_runs_than_a_notification_holds_wake_every_runs_page_of_the_organization() -> None:
    many = [ids.new_id(ids.IdPrefix.RUN) for _ in range(feed.RUNS_NAMED_MAX + 1)]
    told = grown(*many)
    assert len(told[1]) < 8_000
    assert woken(page(run_id=RUN), told)
    assert not woken(page(GLOBEX, run_id=RUN), told)
    assert len(grown(*many[1:])[1]) < 8_000


def test_the_release_before_this_one_named_the_organization_alone() -> None:
    assert woken(page(run_id=RUN), (feed.CHANNEL, str(ACME)))
    assert not woken(page(GLOBEX), (feed.CHANNEL, str(ACME)))


@pytest.mark.parametrize(
    "payload",
    [
        f"{ACME}/{PROJECT}/{RUN}/what a newer release adds",
        f"{ACME}/{PROJECT}/plan_{'0' * 26}",
        f"{ACME}/a project's other name/{RUN}",
        "a feed of all",
    ],
    ids=["a part more", "another kind of thing", "another name for the project", "no organization"],
)
def test_what_only_a_newer_release_understands_wakes_who_may_be_meant(payload: str) -> None:
    assert woken(page(run_id=RUN), (feed.CHANNEL, payload))
    assert woken(page(None), (feed.CHANNEL, payload))
    assert woken(page(GLOBEX), (feed.CHANNEL, payload)) is (str(ACME) not in payload)


def test_of_a_newer_release_too_the_parts_that_are_known_narrow_who_is_meant() -> None:
    told = (feed.CHANNEL, f"{ACME}/{PROJECT}/{RUN}/more")
    assert not woken(page(run_id=OTHER_RUN), told)
    assert not woken(page(project_ids=frozenset({OTHER_PROJECT})), told)


def test_a_machine_of_nobody_that_is_known_wakes_every_fleet() -> None:
    assert woken(page(), (links.PRESENCE, f"{ACME}/more"))
    assert not woken(page(GLOBEX), (links.PRESENCE, f"{ACME}/more"))
    assert woken(page(GLOBEX), (links.PRESENCE, "everybody"))


def test_a_machine_that_comes_or_goes_wakes_the_pages_that_show_the_fleet() -> None:
    told = (links.PRESENCE, str(ACME))
    assert woken(page(), told)
    assert woken(page(None), told)
    assert not woken(page(run_id=RUN), told)
    assert not woken(page(GLOBEX), told)


def ended(kind: str, ended_id: UUID) -> tuple[str, str]:
    return revocations.CHANNEL, f"{kind}:{ended_id}"


def test_what_ends_a_person_wakes_their_pages_only() -> None:
    mine = page(membership_id=uuid4())
    assert mine.membership_id is not None
    for told in (
        ended("session", mine.session),
        ended("user", mine.user_id),
        ended("membership", mine.membership_id),
        ended("organization", ACME),
    ):
        assert woken(mine, told)
        assert not woken(page(GLOBEX, membership_id=uuid4()), told)


@pytest.mark.parametrize("kind", ["token", "connector"])
def test_what_no_page_rests_on_wakes_none(kind: str) -> None:
    assert not woken(page(), ended(kind, ACME))


@pytest.mark.parametrize(
    "told", [ended("session", UUID(int=0)), ended("planet", ACME), (revocations.CHANNEL, "user:somebody")]
)
def test_where_it_is_not_said_whose_it_was_everyone_looks(told: tuple[str, str]) -> None:
    assert woken(page(), told)


def test_a_page_that_is_closed_is_woken_no_more() -> None:
    followers = Followers()
    with followers.following(page()):
        assert len(followers) == 1
    assert len(followers) == 0
    followers.wake_all()


def test_what_a_session_is_called_does_not_open_it() -> None:
    key = "k" * 32
    assert waking.session_named(key) == waking.session_named(key)
    assert key not in str(waking.session_named(key))


def test_a_page_that_came_to_reach_more_is_woken_by_more() -> None:
    followers = Followers()
    with followers.following(page(project_ids=frozenset({OTHER_PROJECT}))) as waiting:
        assert isinstance(waiting, Waiting)
        waiting.page = page(project_ids=frozenset({PROJECT}))
        followers.hear(*grown(RUN))
        assert waiting.moved.is_set()
