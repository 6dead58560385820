"""Text is bounded and made encodable before it is recorded, because executors and tools say whatever they like.

Deliberately not validation: a planner's text was already checked by the wire models. Called by the services.
Tests: tests/unit/daemon/storage/test_texts.py.
"""

from collections.abc import Sequence

from local_daemon.protocol import limits, specs

WARNINGS_KEPT = 20
WARNING_BYTES = 500

_ELLIPSIS = "…"


def text_cut(text: str, *, limit_bytes: int = limits.TEXT_BYTES) -> str:
    """At most `limit_bytes` bytes of UTF-8, marked with an ellipsis where something is missing."""
    encoded = text.encode("utf-8", errors="replace").replace(b"\x00", b"?")
    if len(encoded) <= limit_bytes:
        return encoded.decode("utf-8")
    kept = encoded[: limit_bytes - len(_ELLIPSIS.encode())].decode("utf-8", errors="ignore")
    return kept + _ELLIPSIS


def warnings_cut(warnings: Sequence[str]) -> tuple[str, ...]:
    """The first warnings, each shortened; the last line says how many more there were."""
    kept = tuple(text_cut(warning, limit_bytes=WARNING_BYTES) for warning in warnings[:WARNINGS_KEPT])
    left_out = len(warnings) - len(kept)
    return kept if left_out == 0 else (*kept, f"and {left_out} more warnings")


def failure_cut(failure: specs.Failure | None) -> specs.Failure | None:
    """The same failure with a bounded detail."""
    return None if failure is None else failure.model_copy(update={"detail": text_cut(failure.detail)})
