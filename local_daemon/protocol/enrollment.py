"""How a machine comes to an organization: what it sends, what it signs and what it is answered.

With a one-time code it enrolls at once; without, it registers its key and is claimed by a person who types the code it
shows. Either way it proves that it holds the private key. Models and bytes only; `connector_agent/enrollment.py` sends,
`cloud/connectors` decides. Tests: tests/unit/daemon/protocol/test_enrollment.py.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from local_daemon.protocol import wire

ENROLL_PATH = "/api/v2/connectors/enroll"
REGISTER_PATH = "/api/v2/connectors/register"
REGISTRATION_PATH = "/api/v2/connectors/registration"
PROOF_AGE_S_MAX = 300
"""How far a registration's `issued_at` may lie from the cloud's clock, either way."""

_VERSION = "1"
_ENROLL_DOMAIN = "ropeway-enroll"
_REGISTER_DOMAIN = "ropeway-register"

PublicKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{43}=$")]
"""A raw Ed25519 public key, 32 bytes in base64."""
Signature = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{86}==$")]
"""An Ed25519 signature, 64 bytes in base64."""
EpochSeconds = Annotated[wire.Integer, Field(ge=0, le=1 << 40)]


class Machine(wire.WireModel):
    """What a machine says of itself; shown to people, never decided upon."""

    hostname: wire.Line | None = None
    platform: wire.Line | None = None
    version: wire.Line | None = None


class EnrollRequest(wire.WireModel):
    """Enroll with a one-time code; `proof` signs `enroll_message`."""

    code: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    public_key: PublicKey
    proof: Signature
    label: wire.Line
    machine: Machine = Machine()


class EnrollAnswer(wire.ViewModel):
    """The machine's name in the cloud from now on, and where it now serves."""

    connector_id: str
    organization: str
    project: str


class RegisterRequest(wire.WireModel):
    """Ask to be claimed; `proof` signs `register_message`."""

    public_key: PublicKey
    proof: Signature
    issued_at: EpochSeconds
    label: wire.Line
    machine: Machine = Machine()


class RegisterAnswer(wire.ViewModel):
    """The code to show on the machine, until when it is good, and how often to ask."""

    claim_code: str
    expires_at: wire.Instant
    poll_interval_s: wire.Number


class RegistrationRequest(wire.WireModel):
    """Ask whether one was claimed; `proof` signs `register_message`."""

    public_key: PublicKey
    proof: Signature
    issued_at: EpochSeconds


class RegistrationAnswer(wire.ViewModel):
    """Whether the machine was claimed, and then its name."""

    status: Literal["pending", "claimed"]
    connector_id: str | None = None


def enroll_message(*, code: str, public_key: str) -> bytes:
    """The bytes signed to enroll. The code is used up by it, so the proof is worth nothing twice."""
    digest = wire.sha256_hex(code.encode())
    return "\n".join((_ENROLL_DOMAIN, _VERSION, digest, public_key)).encode()


def register_message(*, public_key: str, issued_at: int) -> bytes:
    """The bytes signed to register, and to ask about it. `issued_at` is seconds since 1970."""
    return "\n".join((_REGISTER_DOMAIN, _VERSION, public_key, str(issued_at))).encode()
