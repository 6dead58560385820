"""What leaves the database, checked by the program that knows nothing of us."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from cloud.audit import aggregation, export, pruning, seal, signing, standalone_verifier
from cloud.audit.export import Range
from cloud.audit.models import AuditEvent
from cloud.cloudctl.audit import audit
from cloud.tenancy import scope
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

Tell = Callable[..., AuditEvent]


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


def checked(tenant: Tenant, asked: Range) -> dict[str, object]:
    key = signing.believed_keys()[0].hex()
    with scope.organization(tenant.id):
        report, fault = standalone_verifier.verify(export.events_export(tenant.id, asked=asked), [key])
    assert fault is None
    return report


def test_an_export_is_found_intact_without_us(sealed: Tenant) -> None:
    report = checked(sealed, Range())
    assert (report["first_seq"], report["last_seq"], report["events"], report["checkpoints"]) == (1, 10, 10, 2)


def test_a_stretch_from_the_middle_is_verifiable_too(sealed: Tenant) -> None:
    report = checked(sealed, Range(first_seq=3, last_seq=8))
    assert (report["first_seq"], report["last_seq"], report["events"], report["checkpoints"]) == (3, 8, 6, 2)


def test_a_time_gives_the_stretch_that_holds_it(sealed: Tenant) -> None:
    now = datetime.now(UTC)
    assert checked(sealed, Range(since=now - timedelta(hours=1), until=now + timedelta(hours=1)))["events"] == 10
    with scope.organization(sealed.id), pytest.raises(export.NothingToExport):
        list(export.events_export(sealed.id, asked=Range(until=now - timedelta(hours=1))))


def test_what_was_pruned_is_told_by_its_statement(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
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
        assert pruning.events_prune(acme.id, before=datetime.now(UTC) - timedelta(days=365)) == 4
        seal.organization_seal_all(acme.id)
    report = checked(acme, Range())
    assert (report["first_seq"], report["pruned"]) == (5, 4)


def test_the_command_exports_and_hands_out_the_verifier(sealed: Tenant) -> None:
    runner = CliRunner()
    written = runner.invoke(audit, ["export", "--organization", "acme", "--from-seq", "2"])
    report, fault = standalone_verifier.verify(written.stdout_bytes.splitlines(keepends=True))
    assert (fault, report["first_seq"], report["events"]) == (None, 2, 9)
    assert runner.invoke(audit, ["export", "--organization", "nobody"]).exit_code == 1
    assert "Ed25519" in runner.invoke(audit, ["verifier"]).output
    assert signing.believed_keys()[0].hex() in runner.invoke(audit, ["public-key", "--json"]).output
