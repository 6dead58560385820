"""The document of /api/v2 says what the table says, and is the one that is committed."""

import json

import jsonschema
import pytest

from deploy.development import openapi_document
from local_daemon.protocol.operations import REMOTE_OPERATIONS
from relay import http, openapi
from tests.integration.cloud.relay import scripted
from tests.integration.cloud.relay.conftest import Cloud, Site

DOCUMENT = json.loads(http.document())


def test_the_committed_document_is_current() -> None:
    assert openapi_document.MACHINES.read_bytes() == http.document(), (
        "Run `make docs` and commit docs/openapi-machines.json."
    )


def test_every_remote_operation_is_in_it_once_and_nothing_of_the_operators() -> None:
    told = [
        (described["operationId"], method.upper(), path)
        for path, methods in DOCUMENT["paths"].items()
        for method, described in methods.items()
    ]
    table = {(row.name, row.method, http.path_of(row)) for row in REMOTE_OPERATIONS.values()}
    beside = {("projects.list", "GET", "/api/v2/projects"), ("calls.get", "GET", "/api/v2/calls/{call_id}")}
    assert set(told) == table | beside
    assert len(told) == len(set(told))


def test_every_parameter_of_a_path_is_described() -> None:
    for path, methods in DOCUMENT["paths"].items():
        for described in methods.values():
            named = {parameter["name"] for parameter in described["parameters"] if parameter["in"] == "path"}
            assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}, path


def test_every_reference_leads_somewhere() -> None:
    known = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    assert set(_references(DOCUMENT)) <= known


def _references(part: object) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [found for value in part.values() for found in _references(value)]
    return [found for item in part for found in _references(item)] if isinstance(part, list) else []


@pytest.mark.django_db(transaction=True)
async def test_the_cloud_tells_it_to_anybody_and_answers_as_it_says(cloud: Cloud, site: Site) -> None:
    async with (
        cloud.connected(site, answering=scripted.answer_ok),
        cloud.client() as client,
    ):
        told = await client.get(openapi.PATH)
        assert (told.status_code, told.json()) == (200, DOCUMENT)
        headers = {"Authorization": f"Bearer {site.token}"}
        path = f"/api/v2/projects/{site.project_id}/runs"
        queued = await client.get(path, headers={**headers, "Prefer": "respond-async"})
        assert queued.status_code == 202
        state = await client.get(f"/api/v2/calls/{queued.json()['call_id']}", headers=headers)
        projects = await client.get("/api/v2/projects", headers=headers)
    for model, body in (("QueuedCall", queued), ("CallState", state), ("Projects", projects)):
        schema = {"$ref": f"#/components/schemas/{model}", "components": DOCUMENT["components"]}
        jsonschema.validate(body.json(), schema)
