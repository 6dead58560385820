"""A machine's log that lacks what was taken in of it: refused, told to the audit once, and nothing known changes."""

from collections.abc import Callable

import pytest

from cloud.audit.models import AuditEvent
from cloud.connectors.models import Connector
from cloud.runs.models import EventCursor, RunEvent, RunSnapshot
from cloud.tenancy import scope
from local_daemon.protocol import errors
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.runs.test_services import Log
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def log(acme: Tenant, make_connector: Callable[..., Connector]) -> Log:
    machine = Machine()
    return Log(acme, make_connector(acme, machine), machine)


def offer(log: Log) -> None:
    """From now on the log is offered as it stands."""
    log.offer = log.offer.model_copy(update={"head_seq": log.seq, "head_hash": log.head})


def put_back(log: Log, *, to: tuple[int, str]) -> None:
    """The log ends here again, as in an older copy of it."""
    log.seq, log.head = to
    offer(log)


def told(tenant: Tenant) -> list[dict[str, object]]:
    with scope.organization(tenant.id):
        return [event.details for event in AuditEvent.objects.filter(event_type="log:put_back").order_by("id")]


def is_known_as_put_back(tenant: Tenant) -> bool:
    with scope.organization(tenant.id):
        return EventCursor.objects.get().put_back_at is not None


def test_a_log_that_ends_before_what_was_taken_in_is_told_once(log: Log, acme: Tenant) -> None:
    epoch = log.link()
    log.apply(epoch, log.run())
    then = (log.seq, log.head)
    log.apply(epoch, log.run("running"), log.run("completed"))
    put_back(log, to=then)
    log.link()
    log.link()
    assert told(acme) == [
        {
            "repository_id": log.offer.repository_id, "label": "one", "log_id": log.offer.log_id,
            "taken_in_seq": 3, "head_seq": 1,
        }
    ]  # fmt: skip
    assert is_known_as_put_back(acme)


def test_a_log_of_the_same_length_with_another_end_is_told(log: Log, acme: Tenant) -> None:
    epoch = log.link()
    log.apply(epoch, log.run())
    then = (log.seq, log.head)
    log.apply(epoch, log.run("running"))
    put_back(log, to=then)
    log.run("cancelled")
    offer(log)
    log.link()
    assert len(told(acme)) == 1


def test_events_numbered_anew_are_not_taken_for_known_ones_and_change_nothing(log: Log, acme: Tenant) -> None:
    epoch = log.link()
    log.apply(epoch, log.run())
    then = (log.seq, log.head)
    log.apply(epoch, log.run("running"))
    put_back(log, to=then)
    epoch = log.link()
    other, further = log.run("cancelled"), log.run("cancelled")
    # What has a known number is passed over as ever; what follows it shows that it is another history.
    assert log.apply(epoch, other).seq == 2
    with pytest.raises(errors.InvalidRequest):
        log.apply(epoch, other, further)
    with scope.organization(acme.id):
        assert RunSnapshot.objects.get().state == "running"
        assert RunEvent.objects.count() == 2
    assert len(told(acme)) == 1


def test_a_log_that_has_outgrown_what_was_lost_is_told_with_its_first_event(log: Log, acme: Tenant) -> None:
    epoch = log.link()
    log.apply(epoch, log.run())
    then = (log.seq, log.head)
    log.apply(epoch, log.run("running"))
    put_back(log, to=then)
    other, further = log.run("cancelled"), log.run("cancelled")
    offer(log)
    epoch = log.link()
    assert told(acme) == []
    for _ in range(2):
        with pytest.raises(errors.InvalidRequest):
            log.apply(epoch, other, further)
    assert len(told(acme)) == 1
    assert is_known_as_put_back(acme)


def test_an_event_that_was_changed_on_its_way_is_refused_and_nothing_is_told(log: Log, acme: Tenant) -> None:
    epoch = log.link()
    changed = log.run().model_copy(update={"prev_hash": "9" * 64})
    with pytest.raises(errors.InvalidRequest):
        log.apply(epoch, changed)
    assert told(acme) == []


def test_sharing_it_anew_does_not_hide_it(log: Log, acme: Tenant) -> None:
    """The cursor goes with the share; what was taken in is in the feed."""
    epoch = log.link()
    log.apply(epoch, log.run())
    then = (log.seq, log.head)
    log.apply(epoch, log.run("running"))
    log.link(is_shared=False)
    put_back(log, to=then)
    epoch = log.link()
    assert len(told(acme)) == 1
    other, further = log.run("cancelled"), log.run("cancelled")
    with pytest.raises(errors.InvalidRequest):
        log.apply(epoch, other, further)
    with scope.organization(acme.id):
        assert list(RunEvent.objects.order_by("seq").values_list("seq", flat=True)) == [1, 2]


def test_the_newer_log_put_back_in_its_place_goes_on(log: Log, acme: Tenant) -> None:
    epoch = log.link()
    log.apply(epoch, log.run())
    then = (log.seq, log.head)
    log.apply(epoch, log.run("running"))
    newer = (log.seq, log.head)
    put_back(log, to=then)
    log.link()
    assert is_known_as_put_back(acme)
    put_back(log, to=newer)
    epoch = log.link()
    assert not is_known_as_put_back(acme)
    assert log.apply(epoch, log.run("completed")).seq == 3


def test_an_offer_that_crossed_with_events_of_its_own_link_is_not_taken_for_one(log: Log, acme: Tenant) -> None:
    epoch = log.link()
    log.apply(epoch, log.run(), log.run("running"))
    with scope.organization(acme.id):
        located = [EventCursor.objects.select_related("location").get().location]
    log.open(located, epoch)
    assert told(acme) == []


def test_another_identity_is_another_machine_and_goes_on(log: Log, acme: Tenant) -> None:
    """What `ropeway identity renew` makes of a home that was put back."""
    epoch = log.link()
    log.apply(epoch, log.run())
    then = (log.seq, log.head)
    log.apply(epoch, log.run("running"))
    put_back(log, to=then)
    log.advertised = log.advertised.model_copy(update={"instance_id": Machine().instance_id})
    epoch = log.link()
    assert log.apply(epoch, log.run("cancelled")).seq == 2
    assert told(acme) == []
