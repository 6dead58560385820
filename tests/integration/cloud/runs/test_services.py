"""What machines tell, taken in: once, in order, under the newest link, and nothing from before it was shared."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from cloud.connectors import links, services
from cloud.connectors.models import Connector, Location
from cloud.runs import services as runs
from cloud.runs.models import EventCursor, GateSnapshot, RunEvent, RunSnapshot, StepSnapshot
from cloud.tenancy import scope
from local_daemon.protocol import envelopes, errors, events, ids, wire
from local_daemon.protocol.ids import IdPrefix
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 21, 8, tzinfo=UTC)


class Log:
    """A machine's log of one repository, and the link it is told over."""

    def __init__(self, tenant: Tenant, connector: Connector, machine: Machine, *, head_seq: int = 0) -> None:
        self.tenant, self.connector, self.machine = tenant, connector, machine
        self.advertised = machine.advertisement("one")
        offer = self.advertised.repositories[0].model_copy(update={"head_seq": head_seq})
        self.offer = offer
        self.seq, self.head = head_seq, offer.head_hash
        self.run_id, self.step_id = ids.new_id(IdPrefix.RUN), ids.new_id(IdPrefix.STEP)

    def link(self, *, is_shared: bool = True) -> int:
        """A newer link that advertises the repository, or nothing; its epoch."""
        opened = links.link_open(connector_id=self.connector.id, link_owner="here")
        offers = (self.offer,) if is_shared else ()
        advertised = self.advertised.model_copy(update={"repositories": offers})
        located = services.advertise_apply(connector_id=self.connector.id, epoch=opened.epoch, advertised=advertised)
        self.open(located, opened.epoch)
        return opened.epoch

    def open(self, located: list[Location], epoch: int) -> None:
        runs.cursors_open(
            organization_id=str(self.tenant.id),
            connector_id=str(self.connector.id),
            epoch=epoch,
            logs=[(location, self.offer) for location in located],
        )

    def event(self, event_type: str, data: dict[str, Any]) -> events.EventRecord:
        """The log's next event."""
        self.seq += 1
        facts: dict[str, Any] = {
            "seq": self.seq, "event_type": event_type, "run_id": self.run_id, "step_id": None, "call_id": None,
            "prev_hash": self.head,
        }  # fmt: skip
        at = AT.isoformat(timespec="microseconds")
        self.head = events.event_hash(log_id=self.offer.log_id, at=at, data_text=wire.canonical_json(data), **facts)
        facts["type"] = facts.pop("event_type")
        return events.EventRecord(at=AT, data=data, hash=self.head, **facts)

    def run(self, state: str = "open", **more: Any) -> events.EventRecord:
        view = {
            "run_id": self.run_id, "repository_id": self.offer.repository_id, "objective": "Try it.", "state": state,
            "is_closed": False, "step_counts": {}, "created_at": AT.isoformat(), "updated_at": AT.isoformat(), **more,
        }  # fmt: skip
        return self.event("run.changed", {"run": view})

    def step(self, state: str = "queued") -> events.EventRecord:
        view = {
            "step_id": self.step_id, "run_id": self.run_id, "repository_id": self.offer.repository_id,
            "title": "Leave a note", "executor": "patch", "state": state, "attempts": 0, "task_digest": "0" * 64,
            "created_at": AT.isoformat(), "updated_at": AT.isoformat(),
        }  # fmt: skip
        return self.event("step.changed", {"step": view})

    def gate(self, state: str = "open") -> events.EventRecord:
        view = {
            "gate_id": ids.new_id(IdPrefix.GATE), "run_id": self.run_id, "step_id": self.step_id, "kind": "after",
            "state": state, "reason": "asked for", "digest": "1" * 64, "opened_at": AT.isoformat(),
            "expires_at": AT.isoformat(),
        }  # fmt: skip
        return self.event("gate.opened", {"gate": view})

    def apply(self, epoch: int, *records: events.EventRecord) -> runs.Applied:
        return runs.events_apply(
            organization_id=str(self.tenant.id),
            connector_id=str(self.connector.id),
            epoch=epoch,
            repository_id=self.offer.repository_id,
            log_id=self.offer.log_id,
            records=records,
        )


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def log(acme: Tenant, make_connector: Callable[..., Connector], machine: Machine) -> Log:
    return Log(acme, make_connector(acme, machine), machine)


def test_a_batch_leaves_a_feed_and_the_last_word_on_each_thing(log: Log, acme: Tenant) -> None:
    epoch = log.link()
    applied = log.apply(epoch, log.run(), log.step(), log.step("running"), log.gate(), log.run("running"))
    assert applied == runs.Applied(seq=5, has_gap=False)
    with scope.organization(acme.id):
        assert list(RunEvent.objects.order_by("id").values_list("seq", flat=True)) == [1, 2, 3, 4, 5]
        assert RunSnapshot.objects.get().state == "running"
        assert StepSnapshot.objects.get().state == "running"
        assert GateSnapshot.objects.get().digest == "1" * 64
        assert RunSnapshot.objects.get().as_of == AT


def test_what_is_known_already_is_passed_over(log: Log, acme: Tenant) -> None:
    epoch = log.link()
    first, second = log.run(), log.step()
    log.apply(epoch, first)
    assert log.apply(epoch, first, second).seq == 2
    with scope.organization(acme.id):
        assert RunEvent.objects.count() == 2


def test_a_gap_is_asked_for_again_and_nothing_is_taken(log: Log, acme: Tenant) -> None:
    epoch = log.link()
    log.run()
    assert log.apply(epoch, log.step()) == runs.Applied(seq=0, has_gap=True)
    with scope.organization(acme.id):
        assert not RunEvent.objects.exists()


def test_a_chain_that_does_not_hold_is_refused_whole(log: Log, acme: Tenant) -> None:
    epoch = log.link()
    good, bad = log.run(), log.step().model_copy(update={"data": {"step": {}}})
    with pytest.raises(errors.InvalidRequest):
        log.apply(epoch, good, bad)
    with scope.organization(acme.id):
        assert not RunEvent.objects.exists()
        assert EventCursor.objects.get().seq == 0


def test_an_older_link_is_refused(log: Log) -> None:
    older = log.link()
    log.link()
    with pytest.raises(errors.PreconditionFailed):
        log.apply(older, log.run())


def test_a_log_that_nobody_follows_is_refused(log: Log) -> None:
    epoch = log.link(is_shared=False)
    with pytest.raises(errors.NotFound):
        log.apply(epoch, log.run())


def test_a_new_share_starts_at_the_head_and_a_reconnect_goes_on(
    acme: Tenant, make_connector: Callable[..., Connector], machine: Machine
) -> None:
    log = Log(acme, make_connector(acme, machine), machine, head_seq=7)
    assert log.apply(log.link(), log.run()).seq == 8
    log.offer = log.offer.model_copy(update={"head_seq": 20})
    log.link()
    with scope.organization(acme.id):
        assert EventCursor.objects.get().seq == 8


def test_what_happens_while_it_is_not_shared_never_gets_here(log: Log, acme: Tenant) -> None:
    log.apply(log.link(), log.run())
    log.link(is_shared=False)
    log.step()
    log.offer = log.offer.model_copy(update={"head_seq": log.seq, "head_hash": log.head})
    epoch = log.link()
    assert log.apply(epoch, log.run("running")).seq == 3
    with scope.organization(acme.id):
        assert list(RunEvent.objects.order_by("seq").values_list("seq", flat=True)) == [1, 3]
        assert not StepSnapshot.objects.exists()


def test_another_tenants_connector_cannot_tell_for_it(
    log: Log, globex: Tenant, make_connector: Callable[..., Connector]
) -> None:
    epoch = log.link()
    stranger = make_connector(globex)
    opened = links.link_open(connector_id=stranger.id, link_owner="here")
    with pytest.raises(errors.NotFound):
        runs.events_apply(
            organization_id=str(globex.id),
            connector_id=str(stranger.id),
            epoch=opened.epoch,
            repository_id=log.offer.repository_id,
            log_id=log.offer.log_id,
            records=[log.run()],
        )
    assert epoch >= 1


def test_characters_that_the_database_cannot_hold_do_not_stop_the_feed(log: Log, acme: Tenant) -> None:
    epoch = log.link()
    log.apply(epoch, log.run(objective="a\x00b"))
    with scope.organization(acme.id):
        assert RunSnapshot.objects.get().view["objective"] == "a\ufffdb"


def test_a_long_batch_takes_no_more_statements_than_a_short_one(log: Log, django_assert_max_num_queries: Any) -> None:
    epoch = log.link()
    batch = [log.step("running" if number % 2 else "queued") for number in range(envelopes.limits.EVENTS_PER_BATCH)]
    with django_assert_max_num_queries(14):
        assert log.apply(epoch, *batch).seq == len(batch)
