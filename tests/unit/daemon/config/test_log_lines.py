import json
import logging

from local_daemon.config import log_lines


def _line(**extra: object) -> dict[str, object]:
    record = logging.makeLogRecord(
        {"name": "room", "levelno": 20, "levelname": "INFO", "msg": "step %s", "args": ("s",)}
    )
    vars(record).update(extra)
    document: dict[str, object] = json.loads(log_lines.JsonFormatter().format(record))
    return document


def test_a_line_is_one_json_document_with_its_fields() -> None:
    line = _line(event="step.submitted", call_id="call_x", missing=None)
    assert (line["message"], line["level"], line["logger"]) == ("step s", "info", "room")
    assert (line["event"], line["call_id"]) == ("step.submitted", "call_x")
    assert "missing" not in line
    assert str(line["at"]).endswith("+00:00")


def test_an_exception_stays_on_its_line() -> None:
    error = ValueError("broken\nbadly")
    line = _line(exc_info=(ValueError, error, None))
    assert "ValueError: broken\nbadly" in str(line["exception"])
