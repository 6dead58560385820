"""The routes that one kind of object has like any other: list, get, create, update, delete, and what is done to one.

What generic views and mixins are to a model in Django REST framework, a Collection is to services here: it knows where
its objects are and how a row is told, and each of its methods declares one route. A route that asks or answers anything
of its own is a function with `@endpoint`, beside them. Deliberately no rule of any kind of object: services decide.
Called by the nouns' `views.py`. Tests: tests/integration/cloud/rest/.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from cloud.rest import pages, paths
from cloud.rest.endpoints import Asked, Endpoint, IfMatch, Service
from local_daemon.protocol.messages import PageQuery

Id = UUID | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """The objects of one kind, below `path`; `view` tells a row as a `response`.

    `id_name` is what an object's id is called in its path, and by its services unless `service_id` says otherwise.
    Services take a `grant`, that id, and the members of query or body by their names."""

    name: str
    path: str
    id_name: str
    view: Callable[[Any], BaseModel]
    response: type[BaseModel]
    service_id: str = ""

    def list(
        self, title: str, description: str, selector: Service, *, query: type[PageQuery], page: type[BaseModel]
    ) -> Endpoint:
        """GET /projects: oldest first, from a selector that answers a Page."""

        def answer(asked: Asked, query: PageQuery) -> BaseModel:
            after = pages.after_row(query.cursor)
            rows = selector(grant=asked.grant(), after=after, **_members(query, but="cursor"))
            return page(**pages.page_told(rows, self.view))

        return self._all("GET", "list", title, description, selector, answer, query=query, response=page)

    def list_newest(
        self,
        title: str,
        description: str,
        selector: Service,
        *,
        query: type[PageQuery],
        page: type[BaseModel],
    ) -> Endpoint:
        """GET /runs: newest first by a machine's ids, from a selector that answers a Newest."""
        prefix = paths.RECORDS[self.id_name]

        def answer(asked: Asked, query: PageQuery) -> BaseModel:
            before = pages.after_record(query.cursor, prefix)
            rows = selector(grant=asked.grant(), before=before, **_members(query, but="cursor"))
            return page(**pages.newest_told(rows, self.view))

        return self._all("GET", "list", title, description, selector, answer, query=query, response=page)

    def create(self, title: str, description: str, service: Service, *, body: type[BaseModel]) -> Endpoint:
        """POST /projects."""

        def answer(asked: Asked, body: BaseModel) -> BaseModel:
            return self.view(service(grant=asked.grant(), **_members(body)))

        return self._all(
            "POST", "create", title, description, service, answer, request=body, response=self.response, status=201
        )

    def get(self, title: str, description: str, selector: Service) -> Endpoint:
        """GET /projects/{project_id}."""
        return self._one("GET", "get", title, description, selector, IfMatch.IGNORED)

    def update(self, title: str, description: str, service: Service, *, body: type[BaseModel]) -> Endpoint:
        """PATCH /projects/{project_id}, of the version that was seen."""
        return self._one("PATCH", "update", title, description, service, IfMatch.REQUIRED, request=body)

    def put(
        self, word: str, part: str, title: str, description: str, service: Service, *, body: type[BaseModel]
    ) -> Endpoint:
        """PUT /instances/{instance_id}/project: one part of an object, whole."""
        rule, below = IfMatch.HONOURED, f"/{part}"
        return self._one("PUT", word, title, description, service, rule, below=below, request=body)

    def delete(self, title: str, description: str, service: Service, *, word: str = "delete") -> Endpoint:
        """DELETE /projects/{project_id}, of the version that was seen."""
        return self._one("DELETE", word, title, description, service, IfMatch.REQUIRED)

    def act(
        self, word: str, title: str, description: str, service: Service, *, if_match: IfMatch = IfMatch.HONOURED
    ) -> Endpoint:
        """POST /projects/{project_id}/suspend. What may be asked twice needs no version: its `if_match` is IGNORED."""
        return self._one("POST", word, title, description, service, if_match, below=f"/{word}")

    def _all(
        self,
        method: str,
        word: str,
        title: str,
        description: str,
        service: Service,
        answer: Callable[..., BaseModel],
        **facts: Any,
    ) -> Endpoint:
        """A route of all of them."""
        return Endpoint(
            name=f"{self.name}.{word}",
            title=title,
            description=description,
            method=method,
            path=self.path,
            answer=answer,
            service=service,
            **facts,
        )

    def _one(
        self,
        method: str,
        word: str,
        title: str,
        description: str,
        service: Service,
        if_match: IfMatch,
        *,
        below: str = "",
        request: type[BaseModel] | None = None,
    ) -> Endpoint:
        """A route of one of them: its service is told which, what was sent, and the version that was seen."""

        def answer(asked: Asked, body: BaseModel | None = None, **names: Id) -> BaseModel:
            said = {self.service_id or self.id_name: names[self.id_name], **_members(body)}
            if if_match is not IfMatch.IGNORED:
                said["expected_version"] = asked.expected_version
            return self.view(service(grant=asked.grant(), **said))

        return Endpoint(
            name=f"{self.name}.{word}",
            title=title,
            description=description,
            method=method,
            path=f"{self.path}/{{{self.id_name}}}{below}",
            answer=answer,
            service=service,
            request=request,
            response=self.response,
            if_match=if_match,
        )


def _members(said: BaseModel | None, *, but: str = "") -> dict[str, Any]:
    """What was said, by name; a model within stays one."""
    return {name: value for name, value in said or () if name != but}
