"""The verifier that an auditor carries away: what it accepts, and that no change of an export escapes it."""

import ast
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import pairwise
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
LINKS = 12


def public(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes_raw().hex()


def event(number: int, organization: UUID = ORG, told: str = "") -> dict[str, Any]:
    details = json.dumps({"operation": "steps.submit", "ü": [number, 1.5, None]})
    row = [UUID(int=number), organization, datetime.fromisoformat(MOMENT), "call:accepted", "token", "a"]
    return chain.event_facts([*row, "planner", "call", str(number), None, told, "ok", 1.5, "192.0.2.1", details])


@dataclass(frozen=True, kw_only=True)
class History:
    """What happened in an organization, link by link, as its database has it. From `forks_at` on it tells otherwise."""

    organization: UUID = ORG
    forks_at: int = LINKS + 1

    def event(self, seq: int) -> dict[str, Any]:
        return event(seq, self.organization, "otherwise" if seq >= self.forks_at else "")

    @cached_property
    def hashes(self) -> list[bytes]:
        """Of nothing, and of each link."""
        found = [chain.GENESIS]
        for seq in range(1, LINKS + 1):
            told = chain.event_hash(self.event(seq))
            found.append(
                chain.link_hash(organization_id=self.organization, seq=seq, prev_hash=found[-1], event_hash=told)
            )
        return found

    def export(
        self,
        first: int = 1,
        last: int = LINKS,
        *,
        checkpoints: tuple[int, ...] = (),
        prunings: tuple[int, ...] = (),
        key: Any = KEY,
    ) -> list[bytes]:
        """As `export.py` writes it, made here from `chain` alone."""
        documents: list[dict[str, Any]] = []
        for before, seq in pairwise((0, *prunings)):
            facts = {"first_seq": before + 1, "seq": seq, "newest_at": MOMENT}
            hashes = {"prev_hash": self.hashes[before], "link_hash": self.hashes[seq]}
            message = chain.pruning_message(organization_id=self.organization, **facts, **hashes)
            told = {"prev_hash": self.hashes[before].hex(), "hash": self.hashes[seq].hex()}
            documents.append({"kind": "pruning", **facts, **told, **signed(key, message)})
        for seq in range(first, last + 1):
            link_hash = self.hashes[seq]
            told = {"hash": link_hash.hex(), "sealed_at": MOMENT, "event": self.event(seq)}
            documents.append({"kind": "event", "seq": seq, **told})
            if seq in checkpoints:
                message = chain.checkpoint_message(organization_id=self.organization, seq=seq, link_hash=link_hash)
                documents.append({"kind": "checkpoint", "seq": seq, "signed_at": MOMENT, **signed(key, message)})
        header = {
            "kind": "header",
            "format": "ropeway-audit-export/1",
            "organization_id": str(self.organization),
            "first_seq": first,
            "prev_hash": self.hashes[first - 1].hex(),
            "public_keys": [public(key)],
            "exported_at": MOMENT,
        }
        lines = [wire.canonical_json(document) + b"\n" for document in [header, *documents]]
        content = hashlib.sha256(b"".join(lines)).hexdigest()
        message = chain.export_message(
            organization_id=self.organization,
            first_seq=first,
            seq=last,
            prev_hash=self.hashes[first - 1],
            link_hash=self.hashes[last],
            content_sha256=content,
        )
        end = {"kind": "end", "seq": last, "hash": self.hashes[last].hex(), "events": last - first + 1}
        return [*lines, wire.canonical_json({**end, "content_sha256": content, **signed(key, message)}) + b"\n"]


def signed(key: Ed25519PrivateKey, message: bytes) -> dict[str, str]:
    return {"public_key": public(key), "signature": key.sign(message).hex()}


TRUE = History()
GOOD = TRUE.export(1, 6, checkpoints=(2, 5))
PRUNED = TRUE.export(4, 9, checkpoints=(5, 8), prunings=(3,))


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
    forged = TRUE.export(1, 5, key=OTHER_KEY)
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


def told_of(*files: list[bytes]) -> tuple[dict[str, Any], list[str]]:
    """What is said of these files, called a, b, c in the order in which they are given."""
    return standalone_verifier.verify_all(zip("abcdefghijkl", files, strict=False), [public(KEY)])


@st.composite
def consecutive(draw: Callable[[Any], Any]) -> list[tuple[int, int]]:
    """A chain cut anywhere into stretches; some also hold some of what follows."""
    lasts = sorted({*draw(st.sets(st.integers(1, LINKS - 1), max_size=3)), LINKS})
    firsts = [1, *(last + 1 for last in lasts[:-1])]
    longer = [draw(st.integers(0, 3)) for _ in lasts]
    return [(first, min(LINKS, last + more)) for first, last, more in zip(firsts, lasts, longer, strict=True)]


@given(stretches=consecutive(), choice=st.data())
@settings(max_examples=40, deadline=None)
def test_exports_of_one_chain_are_intact_together_in_any_order(
    stretches: list[tuple[int, int]], choice: st.DataObject
) -> None:
    files = [TRUE.export(*stretch) for stretch in stretches]
    report, faults = told_of(*choice.draw(st.permutations(files)))
    assert faults == []
    assert (report["first_seq"], report["last_seq"], report["events"]) == (1, LINKS, LINKS)
    assert report["head_hash"] == TRUE.hashes[LINKS].hex()


@given(stretches=consecutive(), choice=st.data())
@settings(max_examples=60, deadline=None)
def test_nothing_that_is_changed_across_the_borders_of_files_escapes(
    stretches: list[tuple[int, int]], choice: st.DataObject
) -> None:
    files = [TRUE.export(*stretch) for stretch in stretches]
    changed = choice.draw(changed_files(files))
    if sorted(changed) != sorted(files):
        _, faults = told_of(*choice.draw(st.permutations(changed)))
        assert faults


@st.composite
def changed_files(draw: Callable[[Any], Any], files: list[list[bytes]]) -> list[list[bytes]]:
    """Lines edited, deleted, moved into another file, swapped between files, or what follows some line of a file cut
    off, as if the next file went on there."""
    places = [(file, line) for file, lines in enumerate(files) for line in range(len(lines))]
    changed = [list(lines) for lines in files]
    file, line = draw(st.sampled_from(places))
    other, place = draw(st.sampled_from(places))
    match draw(st.sampled_from(["edit", "delete", "move", "swap", "cut", "join"])):
        case "edit":
            changed[file][line] = changed[file][line].replace(b"ok", b"no").replace(b"1", b"2")
        case "delete":
            del changed[file][line]
        case "move":
            changed[other].insert(place, changed[file].pop(line))
        case "swap":
            changed[file][line], changed[other][place] = changed[other][place], changed[file][line]
        case "cut":
            changed[file] = changed[file][:line]
        case _:
            changed[file] = changed[file][:-1] + changed[other][1:]
    return changed


@given(stretches=consecutive(), choice=st.data())
@settings(max_examples=40, deadline=None)
def test_a_file_that_is_left_out_is_missed(stretches: list[tuple[int, int]], choice: st.DataObject) -> None:
    """All but the last: a chain has no end, and only what was kept elsewhere knows of more."""
    left_out = choice.draw(st.integers(0, len(stretches) - 1))
    left = stretches[:left_out] + stretches[left_out + 1 :]
    held = {seq for first, last in left for seq in range(first, last + 1)}
    if left:
        report, faults = told_of(*(TRUE.export(*stretch) for stretch in left))
        assert bool(faults) == (held != set(range(min(held), max(held) + 1)))
        assert faults or (report["first_seq"], report["last_seq"]) == (min(held), max(held))


@given(fork=st.integers(1, LINKS), last=st.integers(1, LINKS - 1), overlap=st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_a_history_that_was_written_anew_with_the_key_does_not_go_on_from_the_former_one(
    fork: int, last: int, overlap: int
) -> None:
    before, after = TRUE.export(1, last), History(forks_at=fork).export(max(1, last + 1 - overlap))
    _, faults = told_of(after, before)
    is_told_twice = fork <= last
    told = max(fork, last - overlap, 0)
    assert faults == ([f"a tells link {told} otherwise than b."] if is_told_twice else [])


def test_links_that_no_file_holds_are_named() -> None:
    _, faults = told_of(TRUE.export(9), TRUE.export(1, 3), TRUE.export(6, 7))
    assert faults == ["Links 4 to 5 are in no intact file.", "Links 8 to 8 are in no intact file."]


def test_a_file_that_is_not_intact_counts_for_nothing_and_both_are_told() -> None:
    broken = [line.replace(b"planner", b"nobody!") for line in TRUE.export(4, 6)]
    _, faults = told_of(TRUE.export(1, 3), broken, TRUE.export(7))
    assert faults[0].startswith("b, line 2: the event of link 4 is not what was sealed")
    assert faults[1:] == ["Links 4 to 6 are in no intact file."]


def test_another_organizations_chain_is_not_mixed_in() -> None:
    other = History(organization=UUID(int=8))
    _, faults = told_of(TRUE.export(1, 6), other.export(7))
    assert faults == [f"b is of organization {UUID(int=8)}, and a of {ORG}: another chain."]


def test_the_same_file_twice_is_as_good_as_once() -> None:
    report, faults = told_of(GOOD, GOOD)
    assert (faults, report["events"], report["checkpoints"]) == ([], 6, 2)


def test_what_was_pruned_since_the_export_before_is_stated_and_told() -> None:
    report, faults = told_of(TRUE.export(9, prunings=(2, 8)), TRUE.export(1, 5))
    assert (faults, report["events"], report["pruned"], report["pruned_between"]) == ([], 9, 8, [(6, 8)])
    _, faults = told_of(TRUE.export(10, prunings=(2, 8)), TRUE.export(1, 5))
    assert faults == ["Links 9 to 9 are in no intact file."]


def test_what_a_pruning_states_is_held_against_whoever_took_those_links_along() -> None:
    anew = History(forks_at=2)
    _, faults = told_of(TRUE.export(1, 5), anew.export(9, prunings=(2, 8)))
    assert faults == ["a tells link 2 otherwise than the pruning in b."]
    _, faults = told_of(TRUE.export(3, 5, prunings=(2,)), anew.export(9, prunings=(2, 8)))
    assert faults == [
        "b tells where the pruning up to link 2 led otherwise than a.",
    ]


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
    for name, lines in {
        "good": GOOD, "cut": GOOD[:-1], "next": TRUE.export(7), "later": TRUE.export(9),
    }.items():  # fmt: skip
        (tmp_path / f"{name}.jsonl").write_bytes(b"".join(lines))
    told = [
        subprocess.run(
            [sys.executable, "-I", str(carried), *names.split(), "--public-key", public(KEY)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        for names in (
            "good.jsonl", "cut.jsonl", "none.jsonl", "next.jsonl good.jsonl", "later.jsonl good.jsonl --json",
            "good.jsonl none.jsonl", "next.jsonl cut.jsonl",
        )
    ]  # fmt: skip
    assert [run.returncode for run in told] == [0, 1, 2, 0, 1, 2, 1]
    assert told[0].stdout == "Intact: links 1 to 6, 6 events, 2 checkpoints.\n"
    assert told[1].stdout == "NOT INTACT. Line 10: the export ends without its end: it was cut off.\n"
    assert told[3].stdout == "Intact: links 1 to 12, 12 events, 2 checkpoints.\n"
    missing = "Links 7 to 8 are in no intact file."
    assert json.loads(told[4].stdout) == {"ok": False, "fault": missing, "faults": [missing], "files": 2}
    assert told[6].stdout == "NOT INTACT. cut.jsonl, line 10: the export ends without its end: it was cut off.\n"
