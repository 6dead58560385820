"""The OpenAPI document: whole, current, and told to anybody."""

import json

from django.test import Client

from cloud.rest import routes
from cloud.rest.endpoints import PREFIX
from deploy.development import openapi_document


def test_the_committed_document_is_current() -> None:
    assert openapi_document.DOCUMENT.read_text(encoding="utf-8") == routes.document_text(), (
        "Run `make docs` and commit docs/openapi.json."
    )


def test_every_endpoint_is_in_it_once_and_nothing_else() -> None:
    document = json.loads(routes.document_text())
    assert document["openapi"] == "3.1.0"
    told = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert told == {(endpoint.method, f"{PREFIX}{endpoint.path}") for endpoint in routes.ENDPOINTS}
    assert len({endpoint.name for endpoint in routes.ENDPOINTS}) == len(routes.ENDPOINTS)


def test_every_endpoint_says_what_it_does() -> None:
    assert [endpoint.name for endpoint in routes.ENDPOINTS if not (endpoint.title and endpoint.description)] == []


def test_the_cloud_tells_it_to_anybody() -> None:
    answer = Client().get(f"{PREFIX}/openapi.json")
    assert (answer.status_code, answer.json()) == (200, json.loads(routes.document_text()))
