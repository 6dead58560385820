import json
import re

from local_daemon.http_api import openapi, routing
from local_daemon.protocol.operations import OPERATIONS


def test_every_operation_stands_under_its_path_and_method() -> None:
    paths = openapi.document_build()["paths"]
    for operation in OPERATIONS.values():
        described = paths[routing.PREFIX + operation.path][operation.method.lower()]
        assert described["operationId"] == operation.name
        assert {item["name"] for item in described["parameters"] if item["in"] == "path"} == set(operation.parameters)
        assert ("requestBody" in described) == (operation.request is not None)
        assert str(operation.success_status) in described["responses"]


def test_every_reference_leads_somewhere() -> None:
    document = openapi.document_build()
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert named
    assert named <= set(document["components"]["schemas"])


def test_the_document_says_that_unknown_fields_are_refused() -> None:
    schemas = openapi.document_build()["components"]["schemas"]
    assert schemas["StepSubmit"]["additionalProperties"] is False
    assert schemas["TaskSpec"]["additionalProperties"] is False
