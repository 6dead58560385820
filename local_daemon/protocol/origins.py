"""Where a task comes from: what somebody handed in before it became a TaskSpec or a manifest, and what was added to it.

Told by whoever turns words or a file into a task, kept beside it on the machine, which no operation gives it away
from, and no part of it: two tasks are the same whatever was written for them. Pure.
Tests: tests/unit/daemon/protocol/test_origins.py.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, StringConstraints, model_validator
from pydantic.json_schema import SkipJsonSchema

from local_daemon.protocol import errors, limits, terminals, wire

INPUT_BYTES = limits.GOAL_BYTES
"""Of more than this only its digest and length are kept."""

Name = Annotated[wire.Line, StringConstraints(pattern=r"^[^/]+$")]


class Source(StrEnum):
    """What was handed in."""

    GOAL = "goal"  # words on a command line
    PATCH = "patch"  # a patch to apply, in a file
    TASK = "task"  # a file with a TaskSpec
    MANIFEST = "manifest"  # a file with a whole run


class Form(StrEnum):
    """How it was written."""

    TEXT = "text"  # words
    DIFF = "diff"  # git's patch format
    YAML = "yaml"
    JSON = "json"


class Provenance(wire.WireModel):
    """What was handed in, and what was added. `name` is a file's own name, never its folder's; `defaults` say, in words
    for a person, what was not written there and who had chosen it. `text` is what was written, where it is short enough
    and not in the task anyway."""

    source: Source
    form: Form
    name: Name | None = None
    sha256: wire.Sha256
    size_bytes: wire.Position
    text: Annotated[str, Field(max_length=INPUT_BYTES)] | None = None
    defaults: tuple[wire.Line, ...] = Field(default=(), max_length=limits.LIST_ITEMS)

    @model_validator(mode="after")
    def _is_its_text(self) -> Self:
        if self.text is not None and not self.is_of(self.text):
            raise ValueError("text: is not what sha256 and size_bytes say")
        return self

    def is_of(self, text: str) -> bool:
        """Whether this is the text that was handed in, to the letter."""
        content = text.encode("utf-8", errors="surrogatepass")
        return (len(content), wire.sha256_hex(content)) == (self.size_bytes, self.sha256)


Told = SkipJsonSchema[Provenance | None]
"""For who turns something else into a task, as the command line does. A planner's task is what the planner handed in:
the schemas that planners read don't name it."""
FIELD = "provenance"
"""What it is called in the requests that carry it, and in no argument of a tool."""


def digested(request: BaseModel) -> dict[str, Any]:
    """What a digest of the request is taken of: all of it but what it was made of, whatever that was."""
    return request.model_dump(mode="json", exclude={FIELD})


def argument_names(request: type[BaseModel]) -> tuple[str, ...]:
    """What a planner may say in such a request: what its schema names."""
    return tuple(name for name in request.model_fields if name != FIELD)


def nothing_told_require(request: BaseModel | None) -> None:
    """For a request of anybody but who sits at the machine, who will be shown what it tells as their own words. Raises
    InvalidRequest."""
    if getattr(request, FIELD, None) is not None:
        problem = "is told by the command line of the machine only; leave it out"
        raise errors.InvalidRequest("body: not valid", errors=[{"field": FIELD, "problem": problem}])


def provenance_of(
    text: str, *, source: Source, form: Form, name: str | None = None, in_task: str | None = None
) -> Provenance:
    """The provenance of this text, which is not repeated where it stands in its task."""
    content = text.encode("utf-8", errors="surrogatepass")
    is_kept = text != in_task and len(content) <= INPUT_BYTES
    return Provenance(
        source=source,
        form=form,
        name=name,
        sha256=wire.sha256_hex(content),
        size_bytes=len(content),
        text=text if is_kept else None,
    )


def with_defaults(told: Provenance, added: Sequence[str]) -> Provenance:
    """The same, and what was added to it; where that is too much to be kept, how much of it isn't."""
    lines = [terminals.plain(line)[: limits.TITLE_CHARACTERS] for line in added]
    if len(lines) > limits.LIST_ITEMS:
        kept = limits.LIST_ITEMS - 1
        lines = [*lines[:kept], f"{len(lines) - kept} more"]
    return told.model_copy(update={"defaults": tuple(lines)})
