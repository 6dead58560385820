"""The verifier that an auditor carries away: what it accepts, and that no change of an export escapes it."""

import ast
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.audit import chain, standalone_verifier
from local_daemon.protocol import wire

ORG = UUID(int=7)
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
PROGRAM = Path(standalone_verifier.__file__)
MOMENT = "2026-01-02T03:04:05.000006+00:00"


def public(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes_raw().hex()


def event(number: int) -> dict[str, Any]:
    details = json.dumps({"operation": "steps.submit", "ü": [number, 1.5, None]})
    row = [UUID(int=number), ORG, datetime.fromisoformat(MOMENT), "call:accepted", "token", "a"]
    return chain.event_facts([*row, "planner", "call", str(number), None, "", "ok", 1.5, "192.0.2.1", details])


def export(*, events: int = 6, checkpoints: tuple[int, ...] = (2, 5), pruned: int = 0, key: Any = KEY) -> list[bytes]:
    """As `export.py` writes it, made here from `chain` alone."""
    documents: list[dict[str, Any]] = []
    before = chain.GENESIS
    first = pruned + 1
    if pruned:
        led_to = hashlib.sha256(b"what was pruned led here").digest()
        facts: dict[str, Any] = {"first_seq": 1, "seq": pruned, "prev_hash": before, "newest_at": MOMENT}
        message = chain.pruning_message(organization_id=ORG, link_hash=led_to, **facts)
        documents.append(
            {"kind": "pruning", **facts, "prev_hash": before.hex(), "hash": led_to.hex(), **signed(key, message)}
        )
        before = led_to
    link_hash = before
    for seq in range(first, first + events):
        told = event(seq)
        link_hash = chain.link_hash(
            organization_id=ORG, seq=seq, prev_hash=link_hash, event_hash=chain.event_hash(told)
        )
        documents.append({"kind": "event", "seq": seq, "hash": link_hash.hex(), "sealed_at": MOMENT, "event": told})
        if seq - pruned in checkpoints:
            message = chain.checkpoint_message(organization_id=ORG, seq=seq, link_hash=link_hash)
            documents.append({"kind": "checkpoint", "seq": seq, "signed_at": MOMENT, **signed(key, message)})
    header = {
        "kind": "header",
        "format": "ropeway-audit-export/1",
        "organization_id": str(ORG),
        "first_seq": first,
        "prev_hash": before.hex(),
        "public_keys": [public(key)],
        "exported_at": MOMENT,
    }
    lines = [wire.canonical_json(document) + b"\n" for document in [header, *documents]]
    content = hashlib.sha256(b"".join(lines)).hexdigest()
    last = first + events - 1
    message = chain.export_message(
        organization_id=ORG, first_seq=first, seq=last, prev_hash=before, link_hash=link_hash, content_sha256=content
    )
    end = {"kind": "end", "seq": last, "hash": link_hash.hex(), "events": events, "content_sha256": content}
    return [*lines, wire.canonical_json({**end, **signed(key, message)}) + b"\n"]


def signed(key: Ed25519PrivateKey, message: bytes) -> dict[str, str]:
    return {"public_key": public(key), "signature": key.sign(message).hex()}


GOOD = export()
PRUNED = export(pruned=3)


@pytest.mark.parametrize("lines", [GOOD, PRUNED], ids=["whole", "pruned"])
def test_an_untouched_export_is_intact(lines: list[bytes]) -> None:
    report, fault = standalone_verifier.verify(lines, [public(KEY)])
    assert fault is None
    assert (report["events"], report["checkpoints"]) == (6, 2)


@pytest.mark.parametrize("lines", [GOOD, PRUNED], ids=["whole", "pruned"])
@settings(max_examples=150, deadline=None)
@given(choice=st.data())
def test_no_changed_byte_escapes(lines: list[bytes], choice: st.DataObject) -> None:
    content = b"".join(lines)
    at = choice.draw(st.integers(0, len(content) - 1))
    byte = choice.draw(st.integers(0, 255).filter(lambda value: value != content[at]))
    assert faulty(content[:at] + bytes([byte]) + content[at + 1 :])


@pytest.mark.parametrize("lines", [GOOD, PRUNED], ids=["whole", "pruned"])
@settings(max_examples=150, deadline=None)
@given(choice=st.data())
def test_no_deleted_inserted_moved_or_cut_off_part_escapes(lines: list[bytes], choice: st.DataObject) -> None:
    changed = choice.draw(changed_lines(lines))
    if changed != lines:
        assert faulty(b"".join(changed))


@st.composite
def changed_lines(draw: Callable[[Any], Any], lines: list[bytes]) -> list[bytes]:
    """Lines deleted, doubled, swapped, shuffled, or the file cut off anywhere."""
    some = st.integers(0, len(lines) - 1)
    match draw(st.sampled_from(["delete", "double", "swap", "shuffle", "cut", "cut inside"])):
        case "delete":
            gone = draw(st.sets(some, min_size=1))
            return [line for number, line in enumerate(lines) if number not in gone]
        case "double":
            number = draw(some)
            return [*lines[: number + 1], lines[number], *lines[number + 1 :]]
        case "swap":
            one, other = draw(some), draw(some)
            swapped = list(lines)
            swapped[one], swapped[other] = swapped[other], swapped[one]
            return swapped
        case "shuffle":
            return list(draw(st.permutations(lines)))
        case "cut":
            return lines[: draw(some)]
        case _:
            content = b"".join(lines)
            return [content[: draw(st.integers(0, len(content) - 1))]]


def faulty(content: bytes) -> bool:
    _, fault = standalone_verifier.verify(content.splitlines(keepends=True), [public(KEY)])
    return fault is not None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"events":6', b'"events":6.0'),
        (b'"kind":"end"', b'"kind":"end","more":1'),
        (b'"signature":"', b'"signature":" '),
        (b'"seq":6', b'"seq": 6'),
    ],
)
def test_not_even_another_spelling_of_the_last_line_escapes(old: bytes, new: bytes) -> None:
    assert old in GOOD[-1]
    assert faulty(b"".join([*GOOD[:-1], GOOD[-1].replace(old, new)]))


def test_who_recomputes_everything_still_lacks_the_key() -> None:
    """An edit with the whole chain, all digests and all signatures made anew, by another key."""
    forged = export(events=5, key=OTHER_KEY)
    _, fault = standalone_verifier.verify(forged, [public(KEY)])
    assert "is not believed" in str(fault)
    report, fault = standalone_verifier.verify(forged)
    assert fault is None
    assert (report["is_key_given"], report["public_keys"]) == (False, [public(OTHER_KEY)])


@given(message=st.binary(max_size=64), seed=st.binary(min_size=32, max_size=32), flip=st.integers(0, 511))
@settings(max_examples=25, deadline=None)
def test_its_signatures_are_everybodys(message: bytes, seed: bytes, flip: int) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    signature = key.sign(message)
    public_key = key.public_key().public_bytes_raw()
    assert standalone_verifier.ed25519_verifies(public_key, message, signature)
    wrong = bytearray(signature)
    wrong[flip // 8] ^= 1 << flip % 8
    assert not standalone_verifier.ed25519_verifies(public_key, message, bytes(wrong))


def test_it_needs_nothing_but_python(tmp_path: Path) -> None:
    imported = {
        name.name
        for node in ast.walk(ast.parse(PROGRAM.read_text()))
        if isinstance(node, ast.Import)
        for name in node.names
    }
    assert imported <= sys.stdlib_module_names
    carried = tmp_path / "verify.py"
    carried.write_text(PROGRAM.read_text())
    (tmp_path / "good.jsonl").write_bytes(b"".join(GOOD))
    (tmp_path / "cut.jsonl").write_bytes(b"".join(GOOD[:-1]))
    told = [
        subprocess.run(
            [sys.executable, "-I", str(carried), str(tmp_path / name), "--public-key", public(KEY)],
            capture_output=True,
            text=True,
            check=False,
        )
        for name in ("good.jsonl", "cut.jsonl", "none.jsonl")
    ]
    assert [run.returncode for run in told] == [0, 1, 2]
    assert told[0].stdout == "Intact: links 1 to 6, 6 events, 2 checkpoints.\n"
    assert told[1].stdout == "NOT INTACT. Line 10: the export ends without its end: it was cut off.\n"
