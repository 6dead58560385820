"""A planner's call over HTTP, through a real link and back."""

from cloud.audit.models import AuditEvent
from cloud.tenancy import scope
from cloud.tenancy.threads import in_database_thread
from tests.integration.cloud.relay.conftest import Cloud, Site


async def test_a_call_reaches_the_machine_and_its_answer_comes_back(cloud: Cloud, site: Site) -> None:
    async with cloud.connected(site), cloud.planner(site) as planner:
        answer = await planner.post("/runs", json={"objective": "Try it."})
    assert answer.status_code == 200, answer.text
    assert answer.json()["operation"] == "runs.create"
    assert answer.json()["parameters"] == {"repository_id": site.repository_id}
    assert answer.json()["body"] == {"objective": "Try it."}


async def test_a_call_leaves_two_audit_rows(cloud: Cloud, site: Site) -> None:
    async with cloud.connected(site), cloud.planner(site) as planner:
        answer = await planner.get("/runs")

    def told() -> list[str]:
        with scope.organization(site.tenant.id):
            return list(
                AuditEvent.objects.filter(call_id=answer.headers["ropeway-call-id"])
                .order_by("id")
                .values_list("event_type", flat=True)
            )

    assert await in_database_thread(told) == ["call:accepted", "call:answered"]
