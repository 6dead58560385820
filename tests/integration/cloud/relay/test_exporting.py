"""The audit as a file, streamed piece by piece: what the filters leave, all of it, and nothing of anybody else."""

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from cloud.accounts.models import User
from cloud.audit import services as audit
from cloud.audit.event_types import EventType
from cloud.audit.installation import INSTALLATION
from cloud.audit.models import AuditEvent
from cloud.console import exporting
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from tests.integration.cloud.conftest import MakeMember
from tests.integration.cloud.relay import scripted
from tests.integration.cloud.relay.conftest import Site

PATH = "/admin/audit/auditevent/export."


def tell(site: Site, count: int) -> None:
    with scope.organization(site.tenant.id):
        for number in range(count):
            audit.event_record(
                event_type=EventType.PROJECT_UPDATED,
                principal=None,
                organization_id=site.tenant.id,
                target_kind="project",
                target_id=f"=cmd|{number}",
                details={"name": ["ä", "β"]},
            )


@pytest.fixture
def browser(site: Site, other_site: Site, make_member: MakeMember, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(exporting, "PIECE_ROWS", 3)
    tell(site, 8)
    tell(other_site, 2)
    client = Client()
    client.force_login(make_member(site.tenant, Role.PROJECT_VIEWER).user)
    return client


async def export(browser: Client, form: str, **query: str) -> str:
    answer = await scripted.in_request(lambda: browser.get(f"{PATH}{form}/", query))
    assert answer.status_code == 200
    named = re.fullmatch(r'attachment; filename="(.+)"', answer.headers["Content-Disposition"])
    today = datetime.now(UTC).date()
    since = "" if query.get("period") == "any" else f"-from-{today - timedelta(days=7)}"
    assert named is not None
    assert named[1] == f"audit{since}-to-{today}.{form}"
    return b"".join([piece async for piece in answer.streaming_content]).decode()


async def test_every_event_is_exported_once_newest_first(site: Site, browser: Client) -> None:
    rows = [json.loads(line) for line in (await export(browser, "jsonl", event_type="project:updated")).splitlines()]
    assert [row["target_id"] for row in rows] == [f"=cmd|{number}" for number in reversed(range(8))]
    assert {row["organization_id"] for row in rows} == {str(site.tenant.id)}
    assert rows[0]["details"] == {"name": ["ä", "β"]}
    everything = (await export(browser, "jsonl", period="any")).splitlines()

    def there() -> int:
        with scope.organization(site.tenant.id):
            return AuditEvent.objects.count()

    # But for the telling that somebody takes them along.
    assert len(everything) == await scripted.in_thread(there) - 1


async def test_who_took_what_along_is_told_before_the_first_line_leaves(site: Site, browser: Client) -> None:
    def told() -> list[AuditEvent]:
        with scope.organization(site.tenant.id):
            return list(AuditEvent.objects.filter(event_type="audit:exported").order_by("id"))

    found = {"event_type": "project:updated", "from": f"{datetime.now(UTC).date()}", "q": "x" * 9000}
    answer = await scripted.in_request(lambda: browser.get(f"{PATH}csv/", found))
    assert answer.status_code == 200
    (event,) = await scripted.in_thread(told)
    assert (event.actor_kind, event.target_kind, event.target_id) == ("user", "audit", str(site.tenant.id))
    assert event.actor_label.startswith("project_viewer")
    assert event.details["events"] == 0
    assert event.details["asked"] == {**found, "q": "x" * 200}
    rows = (await export(browser, "jsonl", event_type="project:updated")).splitlines()
    (_, event) = await scripted.in_thread(told)
    assert (event.details["events"], event.details["format"]) == (len(rows), "jsonl")
    assert event.details["since"] is not None


async def test_many_long_filters_are_told_as_far_as_there_is_room(site: Site, browser: Client) -> None:
    def told() -> AuditEvent:
        with scope.organization(site.tenant.id):
            return AuditEvent.objects.get(event_type="audit:exported")

    columns = (f"{column}__{word}" for column in ("actor_kind", "outcome") for word in ("exact", "in"))
    asked = dict.fromkeys(("q", "event_type", "project", "chain", "from", "to", *columns), "😀" * 300)
    answer = await scripted.in_request(lambda: browser.get(f"{PATH}csv/", asked))
    assert answer.status_code == 200
    details = (await scripted.in_thread(told)).details
    assert details["asked"] == dict.fromkeys(details["asked"], "😀" * 200)
    assert 2 <= len(details["asked"]) == len(asked) - details["asked_besides"]
    assert details["asked"].keys() <= asked.keys()


async def test_what_an_operator_took_along_is_told_in_the_installations_chain(site: Site, browser: Client) -> None:
    def taken() -> dict[str, int]:
        operator = Client()
        operator.force_login(User.objects.create_superuser("operator@example.com", "a long password"))
        assert operator.get(f"{PATH}csv/", {"event_type": "project:updated"}).status_code == 200
        with scope.operator():
            rows = AuditEvent.objects.filter(event_type="audit:exported")
            return {str(row.organization_id): row.details["events"] for row in rows}

    assert await scripted.in_request(taken) == {str(INSTALLATION): 10}


async def test_a_spreadsheet_takes_no_cell_for_a_formula(site: Site, browser: Client) -> None:
    def begin_so(beginnings: str) -> None:
        with scope.organization(site.tenant.id):
            for beginning in beginnings:
                audit.event_record(
                    event_type=EventType.PROJECT_CREATED, principal=None, organization_id=site.tenant.id,
                    target_kind="project", target_id=f"{beginning}cmd|",
                )  # fmt: skip

    rows = list(csv.DictReader(io.StringIO(await export(browser, "csv", event_type="project:updated"))))
    assert len(rows) == 8
    assert rows[0]["target_id"] == "'=cmd|7"
    await scripted.in_thread(lambda: begin_so("+-@＝＋－＠\t\r\n"))
    table = io.StringIO(await export(browser, "csv", event_type="project:created"), newline="")
    cells = [row["target_id"] for row in csv.DictReader(table)]
    assert [cell for cell in cells if "cmd" in cell and not cell.startswith("'")] == []
    assert sum("cmd" in cell for cell in cells) == 10


async def test_who_is_bound_to_a_project_takes_only_its_events_along(
    site: Site, browser: Client, make_member: MakeMember
) -> None:
    def bound() -> Client:
        with scope.organization(site.tenant.id):
            audit.event_record(
                event_type=EventType.PROJECT_UPDATED, principal=None, organization_id=site.tenant.id,
                target_kind="project", target_id="theirs", project_id=site.tenant.project.id,
            )  # fmt: skip
        client = Client()
        client.force_login(make_member(site.tenant, Role.PROJECT_VIEWER, project=site.tenant.project).user)
        return client

    theirs = await scripted.in_thread(bound)
    rows = [json.loads(line) for line in (await export(theirs, "jsonl", period="any")).splitlines()]
    assert {row["project_id"] for row in rows} == {str(site.tenant.project.id)}
    assert "theirs" in {row["target_id"] for row in rows}


async def test_an_export_takes_no_lookup_that_the_list_does_not_offer(browser: Client) -> None:
    answer = await scripted.in_request(lambda: browser.get(f"{PATH}csv/", {"details__contains": "a"}))
    assert answer.status_code == 400


async def test_who_is_not_signed_in_gets_nothing(browser: Client) -> None:
    answer = await scripted.in_request(lambda: Client().get(f"{PATH}csv/"))
    assert answer.status_code == 302
