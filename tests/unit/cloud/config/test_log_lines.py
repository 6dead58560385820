import json
import logging
import sys

import pytest

from cloud.access import credentials
from cloud.config.log_lines import EventFormatter
from cloud.tenancy import scope
from cloud.tracing import spans
from local_daemon.protocol import ids


def test_a_record_is_one_line_of_json_with_its_facts() -> None:
    record = logging.makeLogRecord(
        {
            "name": "cloud.dispatch",
            "levelname": "INFO",
            "msg": "call accepted",
            "call_id": "call_1",
            "event": "call.accepted",
        }
    )
    text = EventFormatter().format(record)
    line = json.loads(text)
    assert "\n" not in text
    assert line.pop("at").endswith("+00:00")
    assert line == {
        "level": "info",
        "logger": "cloud.dispatch",
        "message": "call accepted",
        "call_id": "call_1",
        "event": "call.accepted",
    }


SECRETS = {
    "a token": credentials.token_new(),
    "an enrollment code": credentials.enrollment_code_new(),
    "a password in a URL": "hunter2-hunter2",
    "a bearer": "abcDEF123456.abc",
    "a key": "c2VjcmV0IGtleQ==",
}


@pytest.mark.parametrize("kind", SECRETS)
@pytest.mark.parametrize("place", ["message", "argument", "extra", "nested", "exception"])
def test_what_looks_like_a_credential_is_blotted_out_wherever_it_stands(kind: str, place: str) -> None:
    secret = SECRETS[kind]
    told = {
        "a password in a URL": f"postgresql://ropeway_app:{secret}@db/ropeway",
        "a bearer": f"Authorization: Bearer {secret}",
        "a key": f"api_key={secret}",
    }.get(kind, f"given {secret} here")
    record = logging.makeLogRecord({"msg": "see %s", "args": ("nothing",)})
    match place:
        case "message":
            record.msg, record.args = told, ()
        case "argument":
            record.args = (told,)
        case "extra":
            record.fact = told
        case "nested":
            record.facts = {"list": [told]}
        case "exception":
            try:
                raise ValueError(told)  # noqa: TRY301 - what it says is tried
            except ValueError:
                record.exc_info = sys.exc_info()
    text = EventFormatter().format(record)
    assert secret not in text
    assert "[redacted]" in text


def test_a_line_names_the_call_and_the_organization_under_way() -> None:
    organization = str(ids.new_uuid7())
    token = spans.current_call.set("call_1")
    try:
        with scope.organization(organization):
            line = json.loads(EventFormatter().format(logging.makeLogRecord({"msg": "x"})))
    finally:
        spans.current_call.reset(token)
    assert (line["call_id"], line["organization_id"]) == ("call_1", organization)


def test_what_names_no_secret_stays_as_it_is() -> None:
    text = "tokens: 12 used; see https://ropeway.example/docs#token, key 7 of 9"
    line = json.loads(EventFormatter().format(logging.makeLogRecord({"msg": text})))
    assert line["message"] == text
