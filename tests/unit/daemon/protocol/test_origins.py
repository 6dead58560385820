"""What was handed in is told by its digest, and in full only where nothing else holds it."""

import hashlib
from typing import Any

import pytest
from pydantic import ValidationError

from local_daemon.protocol import manifests, messages, origins, specs

FILE: dict[str, Any] = {"source": origins.Source.TASK, "form": origins.Form.YAML, "name": "task.yaml"}


def test_a_file_is_told_with_its_text() -> None:
    made = origins.with_defaults(origins.provenance_of("goal: é\n", **FILE), ["executor codex, of daemon.toml"])
    assert (made.text, made.size_bytes) == ("goal: é\n", 9)
    assert made.sha256 == hashlib.sha256("goal: é\n".encode()).hexdigest()
    assert origins.Provenance.model_validate_json(made.model_dump_json()) == made


def test_planners_are_told_nothing_of_it() -> None:
    for model in (messages.StepSubmit, manifests.RunManifest):
        assert "provenance" not in model.model_json_schema()["properties"]


def test_what_is_in_its_task_is_not_repeated_and_a_long_file_is_told_by_its_digest_only() -> None:
    patch: dict[str, Any] = {"source": origins.Source.PATCH, "form": origins.Form.DIFF, "in_task": "x"}
    assert origins.provenance_of("x", **patch).text is None
    assert origins.provenance_of("\ufeffx", **patch).text == "\ufeffx"
    long = origins.provenance_of("x" * (origins.INPUT_BYTES + 1), **FILE)
    assert (long.text, long.size_bytes) == (None, origins.INPUT_BYTES + 1)


def test_what_was_added_is_told_in_lines_and_what_is_too_much_of_it_by_its_number() -> None:
    told = origins.provenance_of("x", **FILE)
    more = origins.with_defaults(told, [f"{number}:\n\x1b[31m" + "x" * 300 for number in range(102)])
    assert (len(more.defaults), more.defaults[-1], len(more.defaults[0])) == (100, "3 more", 200)
    assert origins.Provenance.model_validate_json(more.model_dump_json()) == more
    assert len(origins.with_defaults(told, ["line"] * 100).defaults) == 100


@pytest.mark.parametrize(
    "change",
    [
        {"text": "goal: other\n"},
        {"name": "a/b"},
        {"name": ""},
        {"name": "x\ngoal: evil"},
        {"size_bytes": 1},
        {"source": "hearsay"},
        {"more": 1},
    ],
    ids=str,
)
def test_what_does_not_fit_together_is_refused(change: dict[str, object]) -> None:
    told = origins.provenance_of("goal: g\n", **FILE).model_dump(mode="json")
    with pytest.raises(ValidationError):
        origins.Provenance.model_validate({**told, **change})


def test_a_run_is_the_same_whatever_was_written_for_it() -> None:
    task = specs.TaskSpec(goal="g", executor="fake-success")
    plan = manifests.RunManifest(objective="o", steps=(manifests.ManifestStep(name="a", task=task),))
    assert plan.model_copy(update={"provenance": origins.provenance_of("x", **FILE)}).digest() == plan.digest()
