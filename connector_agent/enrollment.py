"""How this machine comes to belong to an organization: by a one-time code, or by showing a code that an admin types.

Called by the CLI. Tests: tests/integration/connector/test_enrollment.py.
"""

import platform
import time
from collections.abc import Callable
from threading import Event

from connector_agent import config, identity
from connector_agent.cloud_client import CloudClient, CloudUnreachable
from local_daemon.protocol import enrollment, errors, version


def enroll_by_code(home: config.Home, client: CloudClient, *, cloud_url: str, code: str, label: str) -> str:
    """Enroll at once; answers the project it now serves. Raises the error table's errors."""
    me = identity.identity_ensure(home)
    message = enrollment.enroll_message(code=code, public_key=me.public_key)
    answer = client.enroll(
        enrollment.EnrollRequest(
            code=code, public_key=me.public_key, proof=me.proof(message), label=label, machine=_machine()
        )
    )
    config.enrollment_write(home, config.Enrollment(cloud_url=cloud_url, connector_id=answer.connector_id))
    return f"{answer.organization} / {answer.project}"


def enroll_by_claim(
    home: config.Home, client: CloudClient, *, cloud_url: str, label: str, show_code: Callable[[str], None]
) -> None:
    """Show a code and wait until an admin has claimed it. Raises Expired when nobody did in time."""
    me = identity.identity_ensure(home)
    issued_at = int(time.time())
    proof = me.proof(enrollment.register_message(public_key=me.public_key, issued_at=issued_at))
    registered = client.register(
        enrollment.RegisterRequest(
            public_key=me.public_key, proof=proof, issued_at=issued_at, label=label, machine=_machine()
        )
    )
    show_code(registered.claim_code)
    nobody = Event()
    while time.time() < registered.expires_at.timestamp():
        # The cloud says how often it wants to be asked; there is no link yet over which it could tell.
        nobody.wait(registered.poll_interval_s)
        issued_at = int(time.time())
        proof = me.proof(enrollment.register_message(public_key=me.public_key, issued_at=issued_at))
        asked = enrollment.RegistrationRequest(public_key=me.public_key, proof=proof, issued_at=issued_at)
        try:
            answer = client.registration(asked)
        except CloudUnreachable:
            continue  # The admin may still be typing; one lost request ends nothing.
        except errors.RopewayError as error:
            if not error.row.retryable:
                raise
            continue
        if answer.status == "claimed" and answer.connector_id is not None:
            config.enrollment_write(home, config.Enrollment(cloud_url=cloud_url, connector_id=answer.connector_id))
            return
    raise errors.Expired("Nobody claimed this connector in time; enroll again for a new code.")


def _machine() -> enrollment.Machine:
    return enrollment.Machine(
        hostname=platform.node()[:200] or None,
        platform=f"{platform.system()} {platform.machine()}",
        version=version.__version__,
    )
