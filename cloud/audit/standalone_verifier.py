#!/usr/bin/env python3
"""Checks exports of Ropeway's audit. One file, Python 3.9 or later, nothing else: carry it away and read it.

    python standalone_verifier.py export.jsonl … [--public-key HEX …] [--json]

It recomputes every event's digest and every link of the chain, follows the statements that stand for pruned links, and
verifies each Ed25519 signature (RFC 8032, written out below). An edit, a deletion, a reorder, an insertion or a
truncation is named with its line. Several exports, in any order, must be of one chain, without a gap, and tell the same
where they overlap; what would follow the last one, nobody can miss. Without --public-key it believes the keys that an
export itself names, and says so: compare them with the one that the installation published. Exit status: 0 intact,
1 not, 2 not readable.
Deliberately shares no code with the rest of Ropeway. Tests: tests/unit/cloud/audit/test_standalone_verifier.py.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

FORMAT = "ropeway-audit-export/1"
GENESIS = "00" * 32

# Of a SHA-256.
WIDTH = 32

Told = dict[str, Any]
Point = tuple[int, int, int, int]


class Broken(Exception):
    """The export is not what was written."""


# ── Ed25519, RFC 8032 section 6: verification only, slow and plain ──

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)


def _recover_x(y: int, sign: int) -> int | None:
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    if square == 0:
        return None if sign else 0
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * SQRT_M1 % P
    if (x * x - square) % P:
        return None
    return P - x if x & 1 != sign else x


def _add(a: Point, b: Point) -> Point:
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def _times(scalar: int, point: Point) -> Point:
    product = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            product = _add(product, point)
        point = _add(point, point)
        scalar >>= 1
    return product


def _point(encoded: bytes) -> Point | None:
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    x = _recover_x(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


_BASE_Y = 4 * pow(5, P - 2, P) % P
_BASE_X = _recover_x(_BASE_Y, 0) or 0
BASE = (_BASE_X, _BASE_Y, 1, _BASE_X * _BASE_Y % P)


def ed25519_verifies(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the 64 bytes are this key's signature of the message."""
    if len(public_key) != 32 or len(signature) != 64:
        return False
    a, r, s = _point(public_key), _point(signature[:32]), int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public_key + message).digest(), "little") % L
    left, right = _times(s, BASE), _add(r, _times(h, a))
    return not (left[0] * right[2] - right[0] * left[2]) % P and not (left[1] * right[2] - right[1] * left[2]) % P


# ── the chain ──


def canonical(value: Any) -> bytes:
    """The one byte form of a JSON value: sorted names, no spaces, UTF-8."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", errors="surrogatepass")


def stated(domain: str, *facts: object) -> bytes:
    """The bytes that a signature is of."""
    return "\n".join((domain, "1", *map(str, facts))).encode()


def link(organization_id: str, seq: int, prev_hash: str, event_hash: bytes) -> str:
    """The digest of the chain up to and including `seq`, in hexadecimal."""
    head = "\n".join(("ropeway-audit-link", "1", organization_id, str(seq), ""))
    return hashlib.sha256(head.encode() + bytes.fromhex(prev_hash) + event_hash).hexdigest()


class Verifier:
    """Takes an export line by line; `close` after the last one. Then it knows the hash of each link of its stretch."""

    def __init__(self, believed: Iterable[str] = ()) -> None:
        self.believed = {key.lower() for key in believed}
        self.is_key_given = bool(self.believed)
        self.digest = hashlib.sha256()
        self.number = 0
        self.header: Told = {}
        self.last = ""
        self.organization = ""
        self.seq, self.hash = 0, GENESIS
        # Where each pruning led to: the hash of its last link.
        self.pruned: dict[int, str] = {}
        # Of the link before the first one, and of each from there on.
        self.hashes = bytearray()
        self.checkpoints: set[int] = set()

    def take(self, raw: bytes) -> None:
        """One line with its newline. Raises Broken."""
        self.number += 1
        if self.last == "end":
            raise Broken("something follows the end")
        if not raw.endswith(b"\n"):
            raise Broken("the line is cut off")
        try:
            document = json.loads(raw.decode("utf-8", errors="surrogatepass"))
            is_canonical = canonical(document) + b"\n" == raw
        except (ValueError, RecursionError):
            raise Broken("this is not JSON") from None
        if not isinstance(document, dict) or not is_canonical:
            raise Broken("the line is not written as an export writes it")
        kind = document.get("kind")
        if (kind == "header") == bool(self.header):
            raise Broken("an export begins with one header")
        take = {
            "header": self._header, "pruning": self._pruning, "event": self._event,
            "checkpoint": self._checkpoint, "end": self._end,
        }.get(str(kind))  # fmt: skip
        if take is None:
            raise Broken("there is no such kind of line")
        try:
            take(document)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise Broken("the line lacks something, or has it in the wrong form") from None
        self.last = str(kind)
        if kind != "end":
            self.digest.update(raw)

    def _header(self, told: Told) -> None:
        if told["format"] != FORMAT:
            raise Broken("this is another format than " + FORMAT)
        if not self.is_key_given:
            self.believed = {str(key) for key in told["public_keys"]}
        if len(bytes.fromhex(told["prev_hash"])) != WIDTH:
            raise Broken("what was before is no hash")
        self.header = told
        self.organization = str(told["organization_id"])

    def _pruning(self, told: Told) -> None:
        if self.last not in ("header", "pruning"):
            raise Broken("a pruning stands before every event")
        if (told["first_seq"], told["prev_hash"]) != (self.seq + 1, self.hash):
            raise Broken("the pruning does not follow from what was before")
        facts = (told["first_seq"], told["seq"], told["prev_hash"], told["hash"], told["newest_at"])
        self._signed(told, stated("ropeway-audit-pruning", self.organization, *facts))
        self.seq, self.hash = told["seq"], told["hash"]
        self.pruned[self.seq] = self.hash

    def _event(self, told: Told) -> None:
        if self.last in ("header", "pruning"):
            self._begin()
        if told["seq"] != self.seq + 1:
            raise Broken(f"link {self.seq + 1} is missing, link {told['seq']} is there")
        event = told["event"]
        if event["organization_id"] != self.organization:
            raise Broken(f"the event of link {self.seq + 1} is another organization's")
        event_hash = hashlib.sha256(canonical(event)).digest()
        if link(self.organization, told["seq"], self.hash, event_hash) != told["hash"]:
            raise Broken(f"the event of link {self.seq + 1} is not what was sealed, or another one was before")
        self.seq, self.hash = told["seq"], told["hash"]
        self.hashes += bytes.fromhex(self.hash)

    def _begin(self) -> None:
        """A stretch begins where what was pruned led, at the first link, or anywhere that the end vouches for."""
        first, before = self.header["first_seq"], self.header["prev_hash"]
        if first == self.seq + 1 and before != self.hash:
            raise Broken("the first link does not follow from what was before")
        if first <= self.seq or type(first) is not int:
            raise Broken("the stretch begins among what was pruned")
        self.seq, self.hash = first - 1, before
        self.hashes += bytes.fromhex(before)

    def _checkpoint(self, told: Told) -> None:
        if self.last != "event" or told["seq"] != self.seq:
            raise Broken("the checkpoint stands after another link than its own")
        self._signed(told, stated("ropeway-audit-checkpoint", self.organization, self.seq, self.hash))
        self.checkpoints.add(self.seq)

    def _end(self, told: Told) -> None:
        content = self.digest.hexdigest()
        if told["content_sha256"] != content:
            raise Broken("something before the end was changed")
        # Nothing signs this line itself: it must be exactly what it can only be.
        expected = {
            "kind": "end", "seq": self.seq, "hash": self.hash, "events": self.events(), "content_sha256": content,
            "public_key": told["public_key"], "signature": told["signature"],
        }  # fmt: skip
        if canonical(told) != canonical(expected) or not self.events():
            raise Broken(f"the end speaks of something else than links up to {self.seq}")
        facts = (self.header["first_seq"], self.seq, self.header["prev_hash"], self.hash, content)
        self._signed(told, stated("ropeway-audit-export", self.organization, *facts))

    def _signed(self, told: Told, message: bytes) -> None:
        if told["public_key"] not in self.believed:
            raise Broken(f"the key {told['public_key']} is not believed")
        signature = bytes.fromhex(told["signature"])
        is_plain = signature.hex() == told["signature"]
        if not is_plain or not ed25519_verifies(bytes.fromhex(told["public_key"]), message, signature):
            raise Broken("the signature is wrong")

    def close(self) -> None:
        """The last line was given. Raises Broken when the end is missing."""
        if self.last != "end":
            self.number += 1
            raise Broken("the export ends without its end: it was cut off")

    def first(self) -> int:
        """The first link."""
        return int(self.header["first_seq"])

    def events(self) -> int:
        """How many links there are, each of one event."""
        return max(0, len(self.hashes) // WIDTH - 1)

    def hash_at(self, seq: int) -> str:
        """The hash of a link, or of the one before the first."""
        at = (seq - self.first() + 1) * WIDTH
        return self.hashes[at : at + WIDTH].hex()

    def report(self) -> Told:
        """What was found."""
        return {
            "organization_id": self.organization, "first_seq": self.first(), "last_seq": self.seq,
            "events": self.events(), "checkpoints": len(self.checkpoints), "pruned": max(self.pruned, default=0),
            "head_hash": self.hash, "public_keys": sorted(self.believed), "is_key_given": self.is_key_given,
        }  # fmt: skip


# ── several exports ──

Named = tuple[str, Verifier]


class Chain:
    """Exports that were found intact each by itself, joined in the order of their links."""

    def __init__(self, exports: list[Named]) -> None:
        self.faults: list[str] = []
        self.gone: list[tuple[int, int]] = []
        self.parts = sorted(self._of_one_organization(exports), key=lambda part: (part[1].first(), part[1].seq))
        # Which part goes furthest: it holds whatever the next one has in common with those before.
        self.furthest = self.parts[0]
        self.events = self.furthest[1].events()
        for part in self.parts[1:]:
            self._join(part)
        self._follow_prunings()

    def _of_one_organization(self, exports: list[Named]) -> Iterator[Named]:
        named, organization = exports[0][0], exports[0][1].organization
        for name, verifier in exports:
            if verifier.organization == organization:
                yield name, verifier
            else:
                self.faults.append(
                    f"{name} is of organization {verifier.organization}, and {named} of {organization}: another chain."
                )

    def _join(self, part: Named) -> None:
        (name, verifier), (before, known) = part, self.furthest
        begin = verifier.first() - 1
        # For what was pruned before this part was exported, its own statements stand.
        gone = max(known.seq, *verifier.pruned, 0)
        if gone > known.seq:
            self.gone.append((known.seq + 1, gone))
        if gone < begin:
            self.faults.append(f"Links {gone + 1} to {begin} are in no intact file.")
        last = min(known.seq, verifier.seq)
        # The same last link has the same ones before it.
        if begin <= last and verifier.hash_at(last) != known.hash_at(last):
            seq = next(seq for seq in range(begin, last + 1) if verifier.hash_at(seq) != known.hash_at(seq))
            self.faults.append(f"{name} tells link {seq} otherwise than {before}.")
        self.events += max(0, verifier.seq - max(known.seq, begin))
        if verifier.seq > known.seq:
            self.furthest = part

    def _follow_prunings(self) -> None:
        """What a pruning led to is what who took those links along before it still has."""
        stated: dict[int, tuple[str, str]] = {}
        for name, verifier in self.parts:
            for seq, told in verifier.pruned.items():
                other, known = stated.setdefault(seq, (name, told))
                if known != told:
                    self.faults.append(f"{name} tells where the pruning up to link {seq} led otherwise than {other}.")
        for name, verifier in self.parts:
            for seq, (other, told) in stated.items():
                if verifier.first() - 1 <= seq <= verifier.seq and verifier.hash_at(seq) != told:
                    self.faults.append(f"{name} tells link {seq} otherwise than the pruning in {other}.")

    def report(self) -> Told:
        """What was found of all."""
        verifiers = [verifier for _, verifier in self.parts]
        return {
            **self.furthest[1].report(),
            "first_seq": verifiers[0].first(), "events": self.events,
            "checkpoints": len(set[int]().union(*(verifier.checkpoints for verifier in verifiers))),
            "pruned": max(verifier.report()["pruned"] for verifier in verifiers), "pruned_between": self.gone,
            "public_keys": sorted(set[str]().union(*(verifier.believed for verifier in verifiers))),
        }  # fmt: skip


def verify(lines: Iterable[bytes], believed: Iterable[str] = ()) -> tuple[Told, str | None]:
    """Check an export given as byte lines: (report, None), or (nothing, a sentence that says where it breaks)."""
    verifier, fault = _checked(lines, believed)
    return (verifier.report(), None) if fault is None else ({}, f"Line {fault}")


def verify_all(exports: Iterable[tuple[str, Iterable[bytes]]], believed: Iterable[str] = ()) -> tuple[Told, list[str]]:
    """Check exports of one chain, each with what it is called, in any order: (report, []), or (nothing, sentences that
    say what is wrong with each or between them)."""
    keys = list(believed)
    faults, intact = [], []
    for name, lines in exports:
        verifier, fault = _checked(lines, keys)
        if fault is None:
            intact.append((name, verifier))
        else:
            faults.append(f"{name}, line {fault}")
    if intact:
        chain = Chain(intact)
        faults += chain.faults
        if not faults:
            return chain.report(), []
    return {}, faults


def _checked(lines: Iterable[bytes], believed: Iterable[str]) -> tuple[Verifier, str | None]:
    verifier = Verifier(believed)
    try:
        for raw in lines:
            verifier.take(raw)
        verifier.close()
    except Broken as broken:
        return verifier, f"{verifier.number}: {broken}."
    return verifier, None


# ── the command line ──


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Check exports of Ropeway's audit.")
    parser.add_argument("export", nargs="+", help="a file, or - for standard input; several of one chain in any order")
    parser.add_argument("--public-key", action="append", default=[], metavar="HEX", help="believe this key only")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    asked = parser.parse_args(arguments)
    try:
        if len(asked.export) == 1:
            report, fault = verify(_lines(asked.export[0]), asked.public_key)
            faults = [] if fault is None else [fault]
        else:
            report, faults = verify_all(((name, _lines(name)) for name in asked.export), asked.public_key)
    except OSError as error:
        print(f"Not readable: {error.filename or '-'}: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 2
    if asked.json:
        told = {"ok": not faults, "fault": faults[0] if faults else None, "faults": faults}
        print(json.dumps({**told, "files": len(asked.export), **report}))  # noqa: T201
    elif faults:
        print("\n".join(f"NOT INTACT. {fault}" for fault in faults))  # noqa: T201
    else:
        print("Intact: links {first_seq} to {last_seq}, {events} events, {checkpoints} checkpoints.".format(**report))  # noqa: T201
        for first, last in report.get("pruned_between", ()):
            print(f"Links {first} to {last} were pruned before they were exported, as is signed.")  # noqa: T201
        if not asked.public_key:
            print(f"Signed with {', '.join(report['public_keys'])}: compare it with the published key.")  # noqa: T201
    return 1 if faults else 0


def _lines(name: str) -> Iterator[bytes]:
    source = sys.stdin.buffer if name == "-" else open(name, "rb")  # noqa: SIM115
    with source:
        yield from source


if __name__ == "__main__":
    sys.exit(main())
