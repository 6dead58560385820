"""Log records as lines of JSON: time, level, logger, message, the call and the organization under way, and the facts
given as `extra`.

Deliberately no field for a body, a prompt or a secret: what is not passed is not logged. What looks like a credential
all the same, in a message or in the text of an exception, is blotted out. Tests:
tests/unit/cloud/config/test_log_lines.py.
"""

import json
import logging
import re
from datetime import UTC, datetime

from cloud.tenancy import scope
from cloud.tracing import spans

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "request", "server_time"}
_BLOTTED = "[redacted]"
_SECRETS = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]*://[^\s/@:\"\\]*:)[^\s/@\"\\]+(?=@)"  # a password in a URL
    r"|(?P<bearer>\bBearer\s+)[\w.~+/=-]{8,}"
    r"|(?P<named>\b(?:password|passwd|secret|token|api[_-]?key)[\"']?\s*[=:]\s*[\"']?)[^\s\"',;\\]{6,}"
    r"|\brw_[0-9A-Za-z]{20,}(?:_[0-9A-Za-z]+)?"
    r"|\bRW(?:-[0-9A-Z]{4}){6}\b"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)",
    re.IGNORECASE | re.DOTALL,
)


class EventFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's line; a fact that has no JSON form is shown as text."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": blotted(record.getMessage()),
        }
        line.update(_under_way())
        for key, value in vars(record).items():
            if key not in _STANDARD:
                line[key] = _shown(value)
        if record.exc_info:
            line["exception"] = blotted(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def blotted(text: str) -> str:
    """The text without what looks like a credential."""
    return _SECRETS.sub(_without_secret, text)


def _without_secret(match: re.Match[str]) -> str:
    kept = match.group("scheme") or match.group("bearer") or match.group("named") or ""
    return f"{kept}{_BLOTTED}"


def _shown(value: object) -> object:
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, dict):
        return {str(name): _shown(member) for name, member in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_shown(member) for member in value]
    return blotted(str(value))


def _under_way() -> dict[str, str]:
    """The call and the organization in whose name this thread or task works now."""
    found = {}
    call_id = spans.current_call.get()
    if call_id:
        found["call_id"] = call_id
    organization = scope.current()
    if organization not in (scope.NOBODY, scope.OPERATOR):
        found["organization_id"] = organization
    return found
