import json
import logging

from cloud.config.log_lines import EventFormatter


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
