"""The HTTP API as programs see it: a token, JSON, and Django's whole way there and back."""

import json
from dataclasses import dataclass, field
from typing import Any

from django.test import Client

PREFIX = "/api/cloud/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """One credential at the API."""

    token: str
    client: Client = field(default_factory=lambda: Client(enforce_csrf_checks=True))

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """One answer. Headers are given by name, `if_match=…`."""
        content: dict[str, Any] = {}
        if body is not None:
            content = {"data": body if isinstance(body, bytes) else json.dumps(body)}
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.generic(
            method,
            f"{PREFIX}{path}",
            content_type=given.pop("content-type", "application/json"),
            headers={"Authorization": f"Bearer {self.token}", **given},
            **content,
        )

    def get(self, path: str, **headers: str) -> Any:
        """What stands there."""
        answer = self.ask("GET", path, **headers)
        assert answer.status_code == 200, answer.content
        return answer.json()

    def made(self, path: str, body: Any) -> Any:
        """What was made there."""
        answer = self.ask("POST", path, body)
        assert answer.status_code == 201, answer.content
        return answer.json()


def told(answer: Any) -> tuple[int, str]:
    """The status of an answer and the code of its problem."""
    if answer.status_code < 400:
        return answer.status_code, ""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.content
    problem = answer.json()
    assert problem["status"] == answer.status_code
    return answer.status_code, problem["code"]
