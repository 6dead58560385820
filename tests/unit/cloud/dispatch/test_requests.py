"""A request is checked before anything is written."""

import json
from typing import Any

import pytest

from cloud.dispatch.requests import CallRequest, Sent, request_parse
from local_daemon.protocol import errors, limits, origins
from local_daemon.protocol.operation import Audience
from local_daemon.protocol.operations import OPERATIONS

RUN = "run_" + "0" * 26
PROJECT = "01a1fd16-175a-7fe1-a7a1-9674201fcc5a"


def parse(operation: str = "runs.create", body: Any = b'{"objective": "x"}', **facts: Any) -> CallRequest:
    given = {"parameters": {}, "query": {}, **facts}
    return request_parse(Sent(operation=operation, body=body, **given))


def test_bytes_and_an_object_mean_the_same() -> None:
    assert parse().digest(PROJECT) == parse(body={"objective": "x"}).digest(PROJECT)


def test_order_and_spaces_do_not_matter_to_the_digest_but_every_value_does() -> None:
    one = parse(body=b'{"objective": "x", "name": "n"}')
    assert one.digest(PROJECT) == parse(body=b'{"name":"n","objective":"x"}').digest(PROJECT)
    others = [
        parse(body=b'{"objective": "x", "name": "m"}'),
        parse(body=b'{"objective": "x", "name": "n"}', location="l"),
    ]
    assert len({one.digest(PROJECT), one.digest("another"), *(other.digest(PROJECT) for other in others)}) == 4


def test_a_query_of_texts_becomes_typed() -> None:
    assert parse("runs.list", None, query={"limit": "5"}).query == {"limit": 5}


def test_only_what_was_given_travels() -> None:
    assert parse().body == {"objective": "x"}


@pytest.mark.parametrize("name", [name for name, row in OPERATIONS.items() if row.audience is Audience.OPERATOR])
def test_an_operators_operation_is_not_there(name: str) -> None:
    with pytest.raises(errors.UnsupportedOperation):
        parse(name, None)


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b'"x"', b'{"objective": 1}', b'{"objective": "x", "objective": "x"}', b'{"objective": Infinity}',
     b"\xff", b'{"objective": "\\ud800"}', b"[" * 200_000, b'{"objective": "x", "n": ' + b"9" * 5000 + b"}", b""],
)  # fmt: skip
def test_what_is_no_such_request_is_refused(body: bytes) -> None:
    with pytest.raises(errors.InvalidRequest):
        parse(body=body)


def test_a_body_over_the_limit_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(errors.PayloadTooLarge):
        parse(body=b"x" * (limits.BODY_BYTES + 1))


def test_each_wrong_field_is_named_and_nothing_sent_is_echoed() -> None:
    with pytest.raises(errors.InvalidRequest) as caught:
        parse(body=json.dumps({"objective": "x", "secret": "hunter2"}).encode())
    assert [item["field"] for item in caught.value.attributes["errors"]] == ["secret"]
    assert "hunter2" not in json.dumps(caught.value.problem())


@pytest.mark.parametrize("name", ["steps.submit", "manifests.submit"])
def test_what_a_task_was_made_of_is_told_at_its_machine_only(name: str) -> None:
    task = {"goal": "g", "executor": "fake"}
    told = origins.provenance_of("x", source=origins.Source.TASK, form=origins.Form.YAML).model_dump(mode="json")
    body: dict[str, dict[str, Any]] = {
        "steps.submit": {"task": task},
        "manifests.submit": {"objective": "o", "steps": [{"name": "a", "task": task}]},
    }
    place = {"run_id": RUN} if name == "steps.submit" else {}
    assert parse(name, body[name], parameters=place).body == body[name]
    with pytest.raises(errors.InvalidRequest) as caught:
        parse(name, {**body[name], "provenance": told}, parameters=place)
    assert [item["field"] for item in caught.value.attributes["errors"]] == ["provenance"]


@pytest.mark.parametrize("key", ["", "with space", "x" * 201, "ünïcode", "new\nline"])
def test_a_malformed_key_is_refused(key: str) -> None:
    with pytest.raises(errors.InvalidRequest):
        parse(idempotency_key=key)


@pytest.mark.parametrize("run_id", ["../..", "run_; rm", "", RUN.upper(), RUN + "\n"])
def test_a_malformed_id_is_refused(run_id: str) -> None:
    with pytest.raises(errors.InvalidRequest):
        parse("runs.get", None, parameters={"run_id": run_id})


def test_a_planner_cannot_name_the_repository_itself() -> None:
    """The location gives it; naming another must not slip by it."""
    with pytest.raises(errors.InvalidRequest):
        parse(parameters={"repository_id": "repo_" + "1" * 26})


def test_a_body_where_none_belongs_is_refused() -> None:
    with pytest.raises(errors.InvalidRequest):
        parse("runs.list", b"{}x")
