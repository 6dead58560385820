"""Lines of JSON among anything else, and looking into them without trust."""

import pytest

from local_daemon.executors import jsonl


def read(tmp_path, content):
    path = tmp_path / "stdout"
    path.write_bytes(content)
    return list(jsonl.documents_read(path))


def test_objects_are_found_among_anything(tmp_path):
    content = b'hello\n{"a":1}\n[1]\n"x"\n{"b":\n\xff\xfe{}\n  {"c":3}  \r\nnull\n{"d":4}'
    assert read(tmp_path, content) == [{"a": 1}, {"c": 3}, {"d": 4}]


def test_a_line_longer_than_the_limit_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonl, "LINE_BYTES", 16)
    assert read(tmp_path, b'{"a":1}\n{"b":"' + b"x" * 100 + b'{"c":1}"}\n{"d":1}\n') == [{"a": 1}, {"d": 1}]


def test_nesting_without_end_is_left_out(tmp_path):
    assert read(tmp_path, b'{"a":' * 100_000 + b"\n" + b'{"b":1}\n') == [{"b": 1}]


@pytest.mark.parametrize("value", [None, "5", 5.0, -5, True, 2**60, [], {}])
def test_a_count_is_a_whole_number_that_can_be_one(value):
    assert jsonl.count({"usage": {"tokens": value}}, "usage", "tokens") is None
    assert jsonl.count({"usage": {"tokens": 5}}, "usage", "tokens") == 5


@pytest.mark.parametrize("value", [None, "5", -0.1, True, float("inf"), float("nan"), []])
def test_an_amount_is_a_finite_number_that_can_be_one(value):
    assert jsonl.amount({"cost": value}, "cost") is None
    assert jsonl.amount({"cost": 1}, "cost") == 1.0


@pytest.mark.parametrize("document", [{}, {"a": None}, {"a": []}, {"a": {"b": 5}}, {"a": {"b": "  "}}])
def test_text_is_found_only_where_it_is_text(document):
    assert jsonl.text(document, "a", "b") is None
    assert jsonl.text({"a": {"b": "c"}}, "a", "b") == "c"


@pytest.mark.parametrize(
    "word", ["\ud800", "a\x00b", "\x1b[2J", "two\nlines", "\u202eright to left", "x" * 301, " ", 5, None, ["a"]]
)
def test_an_id_that_no_record_can_hold_is_none(word):
    assert jsonl.word({"thread": {"id": word}}, "thread", "id") is None


@pytest.mark.parametrize("word", ["47fc8e77-afdb-4984-8596-267cece60133", "gpt-5 (preview)", "modèle", "x" * 300])
def test_an_id_is_found_as_it_stands(word):
    assert jsonl.word({"thread": {"id": word}}, "thread", "id") == word
