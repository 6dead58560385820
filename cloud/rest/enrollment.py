"""The three doors of a machine that belongs to nobody yet: enroll, register, and ask whether it was claimed.

Unauthenticated by nature: each request proves a key instead. Translates only; `cloud.connectors.enrollment` decides.
Tests: tests/integration/cloud/rest/test_enrollment.py.
"""

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from cloud.connectors import enrollment as connectors
from cloud.rest import bodies, guesses, problems
from cloud.tenancy import scope
from local_daemon.protocol import enrollment as wire
from local_daemon.protocol import errors, limits

BODY_BYTES = 16 * limits.KIB
POLL_INTERVAL_S = 2.0
_guesses = guesses.Guesses()


@csrf_exempt
@problems.posted
def enroll(request: HttpRequest) -> JsonResponse:
    """Become a connector by a one-time code."""
    asked = bodies.body_read(request, wire.EnrollRequest, limit_bytes=BODY_BYTES)
    address = request.META.get("REMOTE_ADDR") or ""
    _guesses.require_few(address)
    try:
        connector = connectors.connector_enroll(
            code=asked.code,
            public_key=asked.public_key,
            proof=asked.proof,
            label=asked.label,
            machine=asked.machine.model_dump(exclude_none=True),
            client_address=address or None,
        )
    except errors.NotFound:
        _guesses.note_wrong(address)
        raise
    with scope.organization(connector.organization_id):
        claim = connectors.claim_of(connector)
    answer = wire.EnrollAnswer(
        connector_id=str(connector.id),
        organization=claim.organization.name,
        # A machine that is mapped to projects later serves none yet.
        project=claim.project.name if claim.project else "",
    )
    return JsonResponse(answer.model_dump(mode="json"), status=201)


@csrf_exempt
@problems.posted
def register(request: HttpRequest) -> JsonResponse:
    """Ask to be claimed."""
    asked = bodies.body_read(request, wire.RegisterRequest, limit_bytes=BODY_BYTES)
    pending, code = connectors.connector_register_pending(
        public_key=asked.public_key,
        proof=asked.proof,
        issued_at=asked.issued_at,
        label=asked.label,
        machine=asked.machine.model_dump(exclude_none=True),
    )
    answer = wire.RegisterAnswer(claim_code=code, expires_at=pending.expires_at, poll_interval_s=POLL_INTERVAL_S)
    return JsonResponse(answer.model_dump(mode="json"), status=201)


@csrf_exempt
@problems.posted
def registration(request: HttpRequest) -> JsonResponse:
    """Ask whether one was claimed."""
    asked = bodies.body_read(request, wire.RegistrationRequest, limit_bytes=BODY_BYTES)
    connector = connectors.registration_find(public_key=asked.public_key, proof=asked.proof, issued_at=asked.issued_at)
    answer = wire.RegistrationAnswer(
        status="claimed" if connector else "pending", connector_id=str(connector.id) if connector else None
    )
    return JsonResponse(answer.model_dump(mode="json"))
