"""The daemon tried with its own OpenAPI document: whatever is sent, it answers as described, and never with a defect.

Examples are derived from the document, valid and not; ids that exist are put in, so that most calls get past the first
check. The streams, which have no end, are tried in tests of their own.
"""

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from local_daemon.http_api import openapi
from tests.integration.daemon.door import Door

CONFIG = schemathesis.Config()
# Every combination of boundary values, one after the other, would take minutes; random ones find the same in the end.
CONFIG.projects.default.phases.coverage.enabled = False
SCHEMA = schemathesis.openapi.from_dict(openapi.document_build(), config=CONFIG)
CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)
ENDLESS = r"/stream$"


@pytest.fixture(scope="module")
def known(door: Door, repository_id: str) -> dict[str, str]:
    """Ids of what there is, by the parameter that names them."""
    run_id = door.run_create(repository_id)
    step_id = door.submit(repository_id, run_id)
    assert door.wait(repository_id, step_id)["state"] == "completed"
    artifacts = door.get(f"/repositories/{repository_id}/steps/{step_id}/artifacts")["items"]
    gated_id = door.submit(repository_id, run_id, gates={"after": "always"})
    gate_id = door.wait(repository_id, gated_id)["gate_id"]
    return {
        "repository_id": repository_id,
        "run_id": run_id,
        "step_id": step_id,
        "gate_id": gate_id,
        "artifact_id": artifacts[0]["artifact_id"],
    }


@SCHEMA.exclude(path_regex=ENDLESS).parametrize()
@hypothesis.settings(
    max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(hypothesis.HealthCheck), database=None
)
def test_every_answer_is_as_described(case: schemathesis.Case, door: Door, known: dict[str, str]) -> None:
    _try(case, door, known)


@pytest.mark.long
@SCHEMA.exclude(path_regex=ENDLESS).parametrize()
@hypothesis.settings(max_examples=500, deadline=None, suppress_health_check=list(hypothesis.HealthCheck), database=None)
def test_every_answer_is_as_described_to_many_more(case: schemathesis.Case, door: Door, known: dict[str, str]) -> None:
    _try(case, door, known)


def _try(case: schemathesis.Case, door: Door, known: dict[str, str]) -> None:
    for name in case.path_parameters:
        case.path_parameters[name] = known.get(name, case.path_parameters[name])
    if case.path.endswith("/wait"):
        case.query = {**(case.query or {}), "timeout_s": 0}
    case.call_and_validate(
        base_url=f"http://127.0.0.1:{door.address['port']}",
        headers={**(case.headers or {}), "Authorization": f"Bearer {door.token}"},
        checks=list(CHECKS),
        timeout=30,
    )
