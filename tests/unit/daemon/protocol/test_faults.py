"""Who sent something wrong is told which field, and what it takes, and is not told what they sent."""

from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import AnyUrl, BaseModel, ConfigDict, Field, ValidationError, model_validator

from local_daemon.protocol import faults, messages

SECRET = "hunter2"


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Tagged(BaseModel):
    kind: Literal["tagged"]


class Other(BaseModel):
    kind: Literal["other"]


class Sent(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    words: Annotated[str, Field(min_length=1, max_length=3)] = "a"
    code: Annotated[str, Field(min_length=2, pattern="^[a-z]+$")] = "ab"
    count: Annotated[int, Field(ge=1, le=9)] = 1
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    is_so: bool = True
    things: Annotated[list[int], Field(min_length=1, max_length=2)] = [1]
    colour: Annotated[Colour, Field(strict=False)] = Colour.RED
    inner: dict[str, Tagged] = {}
    either: Annotated[Tagged | Other, Field(discriminator="kind")] | None = None
    address: AnyUrl | None = None

    @model_validator(mode="after")
    def _fits(self) -> "Sent":
        if self.words == "no":
            raise ValueError("words: goes with count only")
        return self


@pytest.mark.parametrize(
    ("sent", "field", "problem"),
    [
        ({"words": 1}, "words", "must be text"),
        ({"words": ""}, "words", "must not be empty"),
        ({"words": SECRET}, "words", "must have at most 3 characters"),
        ({"code": "a"}, "code", "must have at least 2 characters"),
        ({"code": SECRET}, "code", "must be of the form ^[a-z]+$"),
        ({"count": SECRET}, "count", "must be a whole number"),
        ({"count": 0}, "count", "must be at least 1"),
        ({"count": 10}, "count", "must be at most 9"),
        ({"share": SECRET}, "share", "must be a number"),
        ({"share": 0.0}, "share", "must be more than 0.0"),
        ({"share": 1.0}, "share", "must be less than 1.0"),
        ({"is_so": SECRET}, "is_so", "must be true or false"),
        ({"things": SECRET}, "things", "must be a list"),
        ({"things": []}, "things", "must not be empty"),
        ({"things": [1, 2, 3]}, "things", "must have at most 2 items"),
        ({"things": [1, SECRET]}, "things.1", "must be a whole number"),
        ({"colour": SECRET}, "colour", "must be 'red' or 'blue'"),
        ({"inner": SECRET}, "inner", "must be an object with named members"),
        ({"inner": {"one": SECRET}}, "inner.one", "must be an object with named members"),
        ({"inner": {"one": {}}}, "inner.one.kind", "is missing"),
        ({"either": {"kind": SECRET}}, "either", "'kind' must be one of 'tagged', 'other'"),
        ({"either": {}}, "either", "needs 'kind', which says what it is"),
        ({"another": SECRET}, "another", "is not known here; correct its name or leave it out"),
        ({"words": "no"}, "(body)", "words: goes with count only"),
        (SECRET, "(body)", "must be an object with named members"),
    ],
)
def test_each_fault_says_where_and_what_is_taken(sent: Any, field: str, problem: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Sent.model_validate(sent)
    assert faults.field_faults(refused.value) == [{"field": field, "problem": problem}]


def test_a_fault_of_another_kind_is_told_all_the_same_without_what_was_sent() -> None:
    with pytest.raises(ValidationError) as refused:
        Sent.model_validate({"address": f"{SECRET} is none"})
    (found,) = faults.field_faults(refused.value)
    assert found["field"] == "address"
    assert found["problem"].startswith("must be a valid URL")
    assert SECRET not in found["problem"]


def test_of_very_many_the_first_are_told() -> None:
    with pytest.raises(ValidationError) as refused:
        Sent.model_validate({f"field-{number}": 1 for number in range(99)})
    assert len(faults.field_faults(refused.value)) == faults.FAULTS_MAX


def test_a_task_without_a_goal_is_told_so_in_plain_words() -> None:
    with pytest.raises(ValidationError) as refused:
        messages.StepSubmit.model_validate({"task": {"executor": "codex", "goals": "x"}})
    assert faults.field_faults(refused.value) == [
        {"field": "task.goal", "problem": "is missing"},
        {"field": "task.goals", "problem": "is not known here; correct its name or leave it out"},
    ]
