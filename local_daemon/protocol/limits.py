"""Every size and time limit of the wire, in one place.

Bytes and seconds unless the name says otherwise. What a daemon's operator may tune (concurrency, retention) is
configuration and deliberately not here. Tests: each limit is tried by the surface that enforces it.
"""

from types import MappingProxyType

KIB = 1024
MIB = 1024 * KIB

FRAME_BYTES = 256 * KIB
"""One websocket frame, header included. Refused before it is parsed."""

BODY_BYTES = 8 * MIB
"""One request body at any HTTP surface; also the longest request reassembled from chunks."""

JSON_DEPTH = 64
"""How deep a JSON body may be nested."""

JSON_VALUES = 100_000
"""How many values and names a JSON body may hold; no message of ours comes near."""

BODY_S = 30
"""How long a request's body may take to arrive."""

INLINE_ANSWER_BYTES = 192 * KIB
"""The longest answer that travels in its response frame; anything larger is streamed in chunks."""

CHUNK_BYTES = 64 * KIB
"""The payload of one chunk frame."""

STREAM_WINDOW_BYTES = 512 * KIB
"""How far a sender may run ahead of the credit it was given."""

CALLS_IN_FLIGHT = 128
"""Calls one link carries at once; the next one is answered `rate_limited`."""

PATCH_BYTES = 4 * MIB
GOAL_BYTES = 64 * KIB
TEXT_BYTES = 8 * KIB
TITLE_CHARACTERS = 200
LIST_ITEMS = 100
EVENTS_PER_BATCH = 200
EVENT_BYTES = 16 * KIB
SEQ_MAX = 2**63 - 1
"""The largest position that a database holds."""

PAGE_ITEMS_DEFAULT = 50
PAGE_ITEMS_MAX = 200

WAIT_S_MAX = 30
"""The longest a wait operation is held open; clients cut at 60 s."""

CALL_DEADLINE_S_DEFAULT = 30
CALL_DEADLINE_S_MAX = 45

HANDSHAKE_S = 10
HEARTBEAT_S = 15
LINK_SILENCE_S = 45
"""A link that carried nothing for this long is dead: three missed heartbeats."""

STEP_TIMEOUT_S_DEFAULT = 1800
STEP_TIMEOUT_S_MAX = 86_400
VALIDATION_TIMEOUT_S_DEFAULT = 600
GATE_EXPIRY_S_DEFAULT = 7 * 86_400
IDEMPOTENCY_S = 24 * 3600
"""How long a mutating call's final answer is remembered, by cloud and daemon."""

RETRY_AFTER_S = MappingProxyType({"connector_offline": 5, "rate_limited": 1, "deadline_exceeded": 1})
