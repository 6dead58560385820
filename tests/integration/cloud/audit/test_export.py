"""What leaves the database, checked by the program that knows nothing of us."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from click.testing import CliRunner
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cloud.audit import aggregation, export, pruning, seal, signing, standalone_verifier, verify
from cloud.audit.export import Export, Range
from cloud.audit.models import AuditEvent
from cloud.cloudctl.audit import audit
from cloud.tenancy import scope
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

Tell = Callable[..., UUID]


@pytest.fixture
def sealed(acme: Tenant, tell: Tell, monkeypatch: pytest.MonkeyPatch) -> Tenant:
    """Ten links, the fourth and eighth signed."""
    monkeypatch.setattr(seal, "CHECKPOINT_LINKS", 4)
    with scope.organization(acme.id):
        for number in range(7):
            details = {"ü": [1.0, None, "\u2028"]}
            tell(target_id=str(number), duration_ms=1.25, client_address="2001:db8::1", details=details)
        while seal.organization_seal(acme.id, limit=4):
            pass
    return acme


def begun(tenant: Tenant, asked: Range) -> Export:
    return export.export_begin(organization_id=tenant.id, asked=asked, actor=tenant.principal())


def checked(tenant: Tenant, asked: Range) -> dict[str, object]:
    key = signing.believed_keys()[0].hex()
    with scope.organization(tenant.id):
        content = b"".join(export.export_pieces(begun(tenant, asked)))
    report, fault = standalone_verifier.verify(content.splitlines(keepends=True), [key])
    assert fault is None
    return report


def test_an_export_is_found_intact_without_us(sealed: Tenant) -> None:
    report = checked(sealed, Range())
    assert (report["first_seq"], report["last_seq"], report["events"], report["checkpoints"]) == (1, 10, 10, 2)


def test_a_stretch_from_the_middle_is_verifiable_too(sealed: Tenant) -> None:
    report = checked(sealed, Range(first_seq=3, last_seq=8))
    assert (report["first_seq"], report["last_seq"], report["events"], report["checkpoints"]) == (3, 8, 6, 2)


def lines(tenant: Tenant, asked: Range) -> list[bytes]:
    with scope.organization(tenant.id):
        return b"".join(export.export_pieces(begun(tenant, asked))).splitlines(keepends=True)


def test_exports_that_go_on_where_another_ended_are_intact_together(sealed: Tenant) -> None:
    begin, middle, end = Range(limit=4), Range(first_seq=5, last_seq=8), Range(first_seq=8)
    files = {name: lines(sealed, asked) for name, asked in (("end", end), ("begin", begin), ("middle", middle))}
    report, faults = standalone_verifier.verify_all(files.items())
    assert faults == []
    assert (report["first_seq"], report["last_seq"], report["events"]) == (1, 10, 10)
    _, faults = standalone_verifier.verify_all([(name, files[name]) for name in ("end", "begin")])
    assert faults == ["Links 5 to 7 are in no intact file."]


def test_a_time_gives_the_stretch_that_holds_it(sealed: Tenant) -> None:
    now = datetime.now(UTC)
    assert checked(sealed, Range(since=now - timedelta(hours=1), until=now + timedelta(hours=1)))["events"] == 10
    with scope.organization(sealed.id), pytest.raises(export.NothingToExport):
        begun(sealed, Range(until=now - timedelta(hours=1)))


def test_what_one_export_has_no_room_for_is_the_next(sealed: Tenant) -> None:
    with scope.organization(sealed.id):
        first = begun(sealed, Range(last_seq=9, limit=4))
        assert (first.first_seq, first.last_seq, first.next_seq) == (1, 4, 5)
        second = begun(sealed, Range(first_seq=first.next_seq, last_seq=9, limit=5))
        assert (second.last_seq, second.next_seq) == (9, None)
    assert checked(sealed, Range(first_seq=5, last_seq=9, limit=4))["events"] == 4


def test_who_takes_what_along_is_audited_before_a_line_has_left(sealed: Tenant) -> None:
    since = datetime.now(UTC) - timedelta(hours=1)
    with scope.organization(sealed.id):
        begun(sealed, Range(since=since, first_seq=3, limit=5))
        event = AuditEvent.objects.get(event_type="audit:exported")
        with pytest.raises(export.NothingToExport):
            begun(sealed, Range(first_seq=1000))
        assert AuditEvent.objects.filter(event_type="audit:exported").count() == 1
    assert (event.actor_label, event.target_id) == (sealed.principal().label, str(sealed.id))
    assert event.details == {
        "asked": {"first_seq": 3, "limit": 5, "since": since.isoformat(timespec="microseconds")},
        "first_seq": 3, "last_seq": 7, "events": 5,
    }  # fmt: skip


def test_no_more_is_read_than_was_asked_for(sealed: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "LINKS_AT_ONCE", 3)
    with scope.organization(sealed.id):
        pieces = export.export_pieces(begun(sealed, Range()))
        with CaptureQueriesContext(connection) as captured:
            head, first = next(pieces), next(pieces)
        assert sum("audit_auditseal" in query["sql"] for query in captured) == 1
        rest = list(pieces)
    assert [piece.count(b'"kind":"event"') for piece in (head, first, *rest)] == [0, 3, 3, 3, 1, 0]


@pytest.fixture
def pruned(acme: Tenant) -> Callable[[], int]:
    """Four links of long ago, and what prunes them."""
    long_ago = datetime.now(UTC) - timedelta(days=400)
    with scope.organization(acme.id):
        for number in range(4):
            AuditEvent.objects.create(
                organization_id=acme.id,
                at=long_ago,
                # Told within one transaction: the order is the ids'.
                id=f"00000000-0000-7000-8000-00000000000{number}",
                event_type="call:accepted",
                actor_kind="system",
                target_kind="call",
                target_id=str(number),
            )
        seal.organization_seal_all(acme.id)
        aggregation.rollups_aggregate(acme.id)

    def prune() -> int:
        return pruning.events_prune(acme.id, before=datetime.now(UTC) - timedelta(days=365))

    return prune


def test_what_was_pruned_is_told_by_its_statement(acme: Tenant, pruned: Callable[[], int]) -> None:
    with scope.organization(acme.id):
        assert pruned() == 4
    report = checked(acme, Range())
    assert (report["first_seq"], report["pruned"]) == (5, 4)


def test_what_was_pruned_since_the_export_before_is_held_against_it(acme: Tenant, pruned: Callable[[], int]) -> None:
    before = lines(acme, Range(last_seq=6))
    with scope.organization(acme.id):
        assert pruned() == 4
    report, faults = standalone_verifier.verify_all([("after", lines(acme, Range())), ("before", before)])
    assert (faults, report["first_seq"], report["pruned"], report["pruned_between"]) == ([], 1, 4, [])
    assert report["events"] == report["last_seq"]


def test_an_export_that_retention_overtakes_ends_without_its_end(acme: Tenant, pruned: Callable[[], int]) -> None:
    with scope.organization(acme.id):
        pieces = export.export_pieces(begun(acme, Range()))
        head = next(pieces)
        assert pruned() == 4
        with pytest.raises(export.PrunedMeanwhile):
            next(pieces)
    _, fault = standalone_verifier.verify(head.splitlines(keepends=True))
    assert fault is not None


def test_the_command_exports_and_hands_out_the_verifier(sealed: Tenant) -> None:
    runner = CliRunner()
    written = runner.invoke(audit, ["export", "--organization", "acme", "--from-seq", "2"])
    report, fault = standalone_verifier.verify(written.stdout_bytes.splitlines(keepends=True))
    assert (fault, report["first_seq"], report["events"]) == (None, 2, 9)
    part = runner.invoke(audit, ["export", "--organization", "acme", "--limit", "4"])
    report, fault = standalone_verifier.verify(part.stdout_bytes.splitlines(keepends=True))
    assert (fault, report["last_seq"]) == (None, 4)
    assert "--from-seq 5" in part.stderr
    with scope.organization(sealed.id):
        exports = AuditEvent.objects.filter(event_type="audit:exported").order_by("id")
        assert [(row.actor_label, row.details["events"]) for row in exports] == [("cloudctl", 9), ("cloudctl", 4)]
    assert runner.invoke(audit, ["export", "--organization", "nobody"]).exit_code == 1
    assert "Ed25519" in runner.invoke(audit, ["verifier"]).output
    assert signing.believed_keys()[0].hex() in runner.invoke(audit, ["public-key", "--json"]).output
