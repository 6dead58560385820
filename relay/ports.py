"""What the relay needs of whoever records, authorizes and audits. It imports no implementation; the wiring fills these.

Every method that ends in a commit returns after it. Errors are those of `protocol.errors`.
Filled by cloud/config/wiring.py; tests fill them with fakes. Tests: tests/unit/relay/.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from local_daemon.protocol import envelopes, events
from local_daemon.protocol.scopes import Scope
from relay.calls import Answer, Call


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkGrant:
    """That a connector may hold a link, as its `epoch`-th: the newest epoch is the live one."""

    connector_id: str
    organization_id: str
    label: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPosition:
    """From where the events of a log are wanted, and the hash of the last one that is there."""

    repository_id: str
    log_id: str
    after_seq: int
    after_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What came of a batch of events: durable up to `seq`; with a gap, the rest must come again from there."""

    seq: int
    has_gap: bool


class LinkBook(Protocol):
    """Who may connect, and which link of a connector is the live one."""

    async def identify(self, connector_id: str) -> bytes:
        """The connector's Ed25519 public key. Raises NotFound, also for a disabled one."""

    async def refused(self, connector_id: str, *, remote_address: str | None) -> None:
        """Note that somebody who said to be this connector did not prove it, or is shut out."""

    async def open(self, connector_id: str, *, remote_address: str | None) -> LinkGrant:
        """Make a proven connection the live one; it belongs to this process. Raises NotFound."""

    async def heartbeat(self, grant: LinkGrant) -> bool:
        """Note that the link lives. False: another is the live one now, or the connector was disabled."""

    async def close(self, grant: LinkGrant) -> None:
        """Note that the link ended; calls it had go back to be sent again."""

    async def advertise(self, grant: LinkGrant, advertised: envelopes.Advertise) -> Sequence[LogPosition]:
        """Record what is shared, wholly, and say from where each log is wanted. Raises PreconditionFailed for an
        older link."""


class CallBook(Protocol):
    """The calls on record. Each method is a compare-and-set: two processes may ask for the same."""

    async def take(self, grant: LinkGrant, *, limit: int) -> Sequence[Call]:
        """Record the connector's waiting calls as sent over this link, oldest first, and hand them over. Calls that
        an earlier link of it had are among them."""

    async def waiting(self, connector_ids: Collection[str]) -> Collection[str]:
        """Which of these connectors have calls that wait to be taken."""

    async def answer(self, grant: LinkGrant, call_id: str, answer: Answer) -> bool:
        """Record an answer. False: the call has one already, or is not this connector's. Content is not kept."""

    async def find_answer(self, call_id: str) -> Answer | None:
        """The answer another process recorded; None if there is none yet."""

    async def sweep(self) -> datetime | None:
        """End what is due and put links that fell silent offline; when the next call is due."""


class EventSink(Protocol):
    """Where the events of machines go."""

    async def apply(
        self, grant: LinkGrant, *, repository_id: str, log_id: str, records: Sequence[events.EventRecord]
    ) -> Applied:
        """Take in a batch, wholly and durably. Raises PreconditionFailed for an older link, InvalidRequest for a
        broken chain, NotFound for a log that nobody follows."""


class Caller(Protocol):
    """An authenticated planner."""

    @property
    def id(self) -> UUID | str:
        """Which credential."""

    @property
    def scopes(self) -> frozenset[Scope]:
        """What it may do, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One planner's call, as a surface understood it. `credential` is a bearer token, or a caller already known.

    `body` is JSON as bytes, or already an object; `location` chooses where a project is in several places."""

    credential: str | Caller
    operation: str
    project_id: str
    parameters: Mapping[str, str]
    query: Mapping[str, Any]
    body: bytes | Mapping[str, Any] | None = None
    location: str | None = None
    idempotency_key: str | None = None
    deadline_s: float | None = None
    traceparent: str | None = None
    client_address: str | None = None
    respond_async: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannerAnswer:
    """What a planner is told. `is_replay`: it is the remembered answer to an earlier call with the same key."""

    call_id: str
    answer: Answer
    is_replay: bool = False

    @property
    def body(self) -> Any:
        """What the machine said."""
        return self.answer.body


class Planner(Protocol):
    """The one funnel, and the little a planner may ask without a machine."""

    async def authenticate(self, token: str) -> Caller:
        """Who presents the token. Raises Unauthenticated."""

    async def count(self, caller: Caller, operation: str, *, client_address: str | None) -> None:
        """Count a call that holds nothing to hand on: the methods below count theirs. Raises RateLimited."""

    async def call(self, asked: Asked) -> PlannerAnswer:
        """Authorize, record, deliver, and answer. Raises what the machine, or the way there, refused."""

    async def perform(
        self,
        credential: str | Caller,
        operation: str,
        arguments: Mapping[str, Any],
        *,
        client_address: str | None,
    ) -> dict[str, Any]:
        """Answer an operation of the cloud itself."""

    async def call_state(
        self, credential: str | Caller, call_id: str, *, client_address: str | None = None
    ) -> dict[str, Any]:
        """One of the planner's own calls: its state and, once there, its answer. Raises NotFound."""


class Waker(Protocol):
    """How a process learns that something is on record for it. Hints only: what is lost is found on the next look."""

    async def listen(self, hears: "Hears") -> None:
        """Hand on what other processes tell, until cancelled; connects anew when the connection is lost."""


class Hears(Protocol):
    """Who is told by a Waker."""

    async def on_waiting(self, connector_id: str) -> None:
        """A call waits for this connector, which is linked here."""

    async def on_answered(self, call_id: str) -> None:
        """A call that may be awaited here was answered elsewhere."""

    async def on_unsettled(self, *, connector_id: str | None = None, organization_id: str | None = None) -> None:
        """What links rest on changed or ended: of one connector, or of all of an organization."""

    async def on_listening(self) -> None:
        """What was told before now may have been missed: look."""
