"""Whether this process serves. Deliberately without a database: an orchestrator must not restart us for its sake."""

from django.http import HttpRequest, JsonResponse


def healthz(_request: HttpRequest) -> JsonResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})
