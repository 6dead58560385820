"""A machine as the cloud meets it: a key pair, what it signs and what it offers."""

import base64
import time
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from local_daemon.protocol import enrollment, envelopes, ids
from local_daemon.protocol.ids import IdPrefix


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One machine."""

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    instance_id: str = field(default_factory=lambda: ids.new_id(IdPrefix.INSTANCE))

    @property
    def public_key(self) -> str:
        return base64.b64encode(self.key.public_key().public_bytes_raw()).decode()

    def signed(self, message: bytes) -> str:
        return base64.b64encode(self.key.sign(message)).decode()

    def enroll_request(self, code: str) -> dict[str, Any]:
        message = enrollment.enroll_message(code=code, public_key=self.public_key)
        return {
            "code": code,
            "public_key": self.public_key,
            "proof": self.signed(message),
            "label": "builder",
            "machine": {"platform": "linux"},
        }

    def registration_request(self, *, issued_at: int | None = None) -> dict[str, Any]:
        issued_at = int(time.time()) if issued_at is None else issued_at
        message = enrollment.register_message(public_key=self.public_key, issued_at=issued_at)
        return {"public_key": self.public_key, "issued_at": issued_at, "proof": self.signed(message)}

    def register_request(self, **facts: Any) -> dict[str, Any]:
        return {**self.registration_request(**facts), "label": "laptop", "machine": {"platform": "darwin"}}

    def advertisement(self, *labels: str) -> envelopes.Advertise:
        """Offers one repository a label, whose id follows from the label."""
        repositories = tuple(
            envelopes.RepositoryAdvert(
                repository_id=f"repo_{ids.ulid(now_ms=1, randomness=abs(hash(label)) % 2**80)}",
                label=label,
                log_id=ids.new_id(IdPrefix.LOG),
                head_seq=0,
                head_hash="0" * 64,
            )
            for label in labels
        )
        return envelopes.Advertise(
            instance_id=self.instance_id,
            instance_version="0.1.0",
            hostname="builder",
            executors=("patch", "codex"),
            repositories=repositories,
        )
