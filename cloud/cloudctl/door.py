"""The cloud as commands ask it: its HTTP API, entered in place (in this process, as the installation) or over the
network (as a token's holder).

A command says what it asks once; which door it goes through, the options before it say (`doors`). So both give the same
answers, and no rule is written twice. Deliberately free of Django: a command against a cloud by URL starts at once.
Tests: tests/journeys/test_cloudctl.py runs the same commands through both.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

PREFIX = "/api/cloud/v1"
ANY_VERSION = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A cloud somewhere else, and how to get in. `is_here`: on this very machine, in the clear."""

    url: str
    token: str = field(repr=False)
    ca_file: str | None = None
    timeout_s: float = 60.0
    is_here: bool = False


class Door(Protocol):
    """One organization of a cloud."""

    @property
    def is_in_place(self) -> bool:
        """Whether the installation itself asks."""

    def ask(
        self,
        method: str,
        path: str,
        names: Mapping[str, str] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        if_match: str | None = None,
    ) -> Any:
        """One route below /api/cloud/v1; `path` is its template, `names` fill it. Raises every error of the table."""

    def machine(
        self,
        operation: str,
        *,
        project_id: str,
        location: str | None,
        parameters: Mapping[str, str],
        query: Mapping[str, Any],
        body: Mapping[str, Any] | None,
    ) -> Any:
        """One operation of the machine where a project is, through the funnel. Raises every error of the table."""

    def content(self, *, project_id: str, location: str | None, artifact_id: str) -> bytes:
        """The bytes of an artifact, whole. Raises every error of the table."""
