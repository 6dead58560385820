from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from cloud.audit import chain

ORG = UUID(int=1)
AT = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


def row(**changes: Any) -> list[Any]:
    facts = {
        "id": UUID(int=2),
        "organization_id": ORG,
        "at": AT,
        "event_type": "call:accepted",
        "actor_kind": "token",
        "actor_id": "a",
        "actor_label": "planner",
        "target_kind": "call",
        "target_id": "c",
        "project_id": None,
        "call_id": "",
        "outcome": "ok",
        "duration_ms": None,
        "client_address": None,
        "details": '{"b": 1, "a": [1.5, null]}',
    }
    return list({**facts, **changes}.values())


def digest(**changes: Any) -> bytes:
    return chain.event_hash(chain.event_facts(row(**changes)))


def test_the_same_event_has_the_same_digest_in_any_time_zone() -> None:
    elsewhere = AT.astimezone(timezone(timedelta(hours=9)))
    assert digest() == digest(at=elsewhere)


@pytest.mark.parametrize(
    "changes",
    [
        {"event_type": "call:answered"},
        {"at": AT + timedelta(microseconds=1)},
        {"actor_id": "b"},
        {"actor_label": "other"},
        {"target_id": "d"},
        {"project_id": UUID(int=3)},
        {"call_id": "call_x"},
        {"outcome": "error"},
        {"duration_ms": 1.0},
        {"client_address": "192.0.2.1"},
        {"details": '{"b": 1, "a": [1.5, 0]}'},
        {"organization_id": UUID(int=9)},
    ],
)
def test_a_change_of_any_field_changes_the_digest(changes: dict[str, Any]) -> None:
    assert digest(**changes) != digest()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"at": datetime(2026, 1, 2, 12, tzinfo=timezone(timedelta(hours=9)))},
        {"project_id": UUID(int=3), "client_address": "2001:db8::1", "duration_ms": 1e-7},
        {"duration_ms": 12345678901234567890.0, "details": "{}"},
        {"actor_label": 'Zoë "\\ \x1f\u2028\ud800\U0001f600', "target_id": "\x7f/", "call_id": "'"},
        {"details": '{"é": {"b": [1e3, 0.1, -0, 9007199254740993], "a": "\\u00e9\\u001f"}, "": null}'},
    ],
)
def test_what_is_sealed_is_the_digest_of_the_canonical_form(changes: dict[str, Any]) -> None:
    assert chain.row_hash(row(**changes)) == digest(**changes)


def test_a_number_without_a_json_form_is_not_sealed() -> None:
    with pytest.raises(ValueError, match="JSON"):
        chain.row_hash(row(duration_ms=float("nan")))


def test_a_link_depends_on_its_place_its_tenant_and_all_before_it() -> None:
    facts: dict[str, Any] = {"organization_id": ORG, "seq": 1, "prev_hash": chain.GENESIS, "event_hash": b"e" * 32}
    others = [{"seq": 2}, {"organization_id": UUID(int=9)}, {"prev_hash": b"p" * 32}, {"event_hash": b"f" * 32}]
    digests = {chain.link_hash(**{**facts, **other}) for other in [{}, *others]}
    assert len(digests) == 5
