"""Polling a vendor over real HTTP: pages, overlap, repeats, failures, and a kill in the middle."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from cloud.polling import rounds
from cloud.polling.models import PolledItem, PollState
from cloud.polling.source import Item, Page, SourceFailed
from cloud.tenancy import scope
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
EVERY = timedelta(minutes=5)


class Vendor:
    """Issues by the second they changed, a few on a page; as an issue tracker tells them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.issues: list[tuple[int, str, int]] = []
        self.status = 200
        self.headers: dict[str, str] = {}
        self.asked: list[dict[str, str]] = []

    def answer(self, asked: dict[str, str]) -> dict[str, Any]:
        self.asked.append(asked)
        since, offset, size = int(asked["since"]), int(asked["offset"]), 3
        found = sorted(issue for issue in self.issues if issue[0] >= since)
        page = found[offset : offset + size]
        return {"issues": page, "more": len(found) > offset + size}


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
            body = json.dumps(serving.answer(told) if serving.status == 200 else {}).encode()
            self.send_response(serving.status)
            for name, value in {**serving.headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_facts: Any) -> None:
            """Quietly."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = Vendor(f"http://127.0.0.1:{server.server_address[1]}/issues")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield serving
    server.shutdown()
    server.server_close()
    thread.join()


class Issues:
    """The vendor as a source: behind the newest second seen, page by page."""

    name, subject_id, every, overlap = "issues", "acme", EVERY, timedelta(seconds=60)

    def __init__(self, vendor: Vendor, then: Callable[[], None] = lambda: None) -> None:
        self._vendor, self._then = vendor, then
        self.applied: list[str] = []

    def fetch(self, cursor: dict[str, Any], *, overlap: timedelta) -> Page:
        newest = cursor.get("newest", 0)
        since = cursor.get("since", max(0, newest - int(overlap.total_seconds())))
        offset = cursor.get("offset", 0)
        answer = httpx.get(self._vendor.url, params={"since": since, "offset": offset}, trust_env=False)
        if answer.status_code != 200:
            after = answer.headers.get("Retry-After")
            raise SourceFailed(f"http_{answer.status_code}", retry_after_s=float(after) if after else None)
        told = answer.json()
        items = [Item(key=f"{key}:{version}", told=key) for _, key, version in told["issues"]]
        newest = max([newest, *(second for second, _, _ in told["issues"])])
        if told["more"]:
            return Page(items=items, cursor={"newest": newest, "since": since, "offset": offset + 3}, is_last=False)
        return Page(items=items, cursor={"newest": newest})

    def apply(self, items: Sequence[Item]) -> None:
        self._then()
        self.applied += [item.key for item in items]


def poll(tenant: Tenant, source: Issues, *, now: datetime = NOW) -> int:
    return rounds.source_poll(source, organization_id=tenant.id, now=now, jitter=lambda: 0.0)


def state_of(tenant: Tenant) -> PollState:
    with scope.organization(tenant.id):
        return PollState.objects.get()


def test_every_page_is_read_and_every_item_takes_effect_once(acme: Tenant, vendor: Vendor) -> None:
    vendor.issues = [(1000 + number, f"A-{number}", 1) for number in range(8)]
    source = Issues(vendor)
    assert poll(acme, source) == 8
    assert source.applied == [f"A-{number}:1" for number in range(8)]
    assert [asked["offset"] for asked in vendor.asked] == ["0", "3", "6"]
    assert poll(acme, source, now=NOW + EVERY) == 0
    assert state_of(acme).items == 8


def test_it_is_asked_when_it_is_due_and_not_before(acme: Tenant, vendor: Vendor) -> None:
    source = Issues(vendor)
    poll(acme, source)
    poll(acme, source, now=NOW + EVERY - timedelta(seconds=1))
    assert len(vendor.asked) == 1
    poll(acme, source, now=NOW + EVERY)
    assert len(vendor.asked) == 2


def test_what_appears_late_behind_the_cursor_is_found_by_the_overlap(acme: Tenant, vendor: Vendor) -> None:
    source = Issues(vendor)
    vendor.issues = [(1000, "A-1", 1)]
    poll(acme, source)
    vendor.issues += [(990, "A-late", 1), (1001, "A-2", 1)]
    assert poll(acme, source, now=NOW + EVERY) == 2
    assert vendor.asked[-1]["since"] == "940"
    assert source.applied == ["A-1:1", "A-late:1", "A-2:1"]


def test_a_new_version_of_an_item_is_news(acme: Tenant, vendor: Vendor) -> None:
    source = Issues(vendor)
    vendor.issues = [(1000, "A-1", 1)]
    poll(acme, source)
    vendor.issues = [(1005, "A-1", 2)]
    poll(acme, source, now=NOW + EVERY)
    assert source.applied == ["A-1:1", "A-1:2"]


def test_a_failing_source_is_asked_later_and_later_and_then_forgiven(acme: Tenant, vendor: Vendor) -> None:
    source, now, waits = Issues(vendor), NOW, []
    vendor.status = 500
    for _ in range(3):
        poll(acme, source, now=now)
        state = state_of(acme)
        waits.append((state.next_poll_at - now).total_seconds())
        now = state.next_poll_at
    assert waits == [30, 60, 120]
    assert (state.fault, state.failures_in_a_row) == ("http_500", 3)
    vendor.status = 200
    poll(acme, source, now=now)
    state = state_of(acme)
    assert (state.fault, state.failures_in_a_row, state.next_poll_at) == ("", 0, now + EVERY)


def test_a_source_that_says_when_is_not_asked_before(acme: Tenant, vendor: Vendor) -> None:
    vendor.status, vendor.headers = 429, {"Retry-After": "900"}
    poll(acme, Issues(vendor))
    assert state_of(acme).next_poll_at == NOW + timedelta(minutes=15)


def test_a_round_that_is_killed_goes_on_where_its_last_page_took_effect(acme: Tenant, vendor: Vendor) -> None:
    vendor.issues = [(1000 + number, f"A-{number}", 1) for number in range(8)]
    pages = iter([None, KeyboardInterrupt])

    def then() -> None:
        if (error := next(pages)) is not None:
            raise error

    dying = Issues(vendor, then)
    with pytest.raises(KeyboardInterrupt):
        poll(acme, dying)
    assert dying.applied == ["A-0:1", "A-1:1", "A-2:1"]
    next_one = Issues(vendor)
    assert poll(acme, next_one, now=NOW + rounds.BACKOFF_FIRST) == 5
    assert next_one.applied == [f"A-{number}:1" for number in range(3, 8)]


def test_keys_are_forgotten_when_nothing_can_tell_them_again(acme: Tenant, vendor: Vendor) -> None:
    vendor.issues = [(1000, "A-1", 1)]
    poll(acme, Issues(vendor))
    vendor.issues = []
    poll(acme, Issues(vendor), now=NOW + timedelta(days=2))
    with scope.organization(acme.id):
        assert not PolledItem.objects.exists()


def test_each_tenant_has_its_own_place(acme: Tenant, globex: Tenant, vendor: Vendor) -> None:
    vendor.issues = [(1000, "A-1", 1)]
    assert [poll(acme, Issues(vendor)), poll(globex, Issues(vendor))] == [1, 1]
    assert state_of(acme).organization_id == acme.id


@pytest.mark.parametrize(
    ("failures", "jitter", "seconds"), [(1, 0.0, 30), (1, 0.99, 15.15), (3, 0.0, 120), (50, 0.0, 3600)]
)
def test_backing_off_doubles_to_an_hour_and_is_spread(failures: int, jitter: float, seconds: float) -> None:
    assert rounds.backoff(failures, jitter=jitter).total_seconds() == pytest.approx(seconds)


def test_nothing_is_waited_for_before_a_failure() -> None:
    with pytest.raises(ValueError, match="Nothing"):
        rounds.backoff(0, jitter=0.0)
