"""Problem documents (RFC 9457), the one mapping from errors to answers."""

from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from alphapulse.runtime.errors import Conflict, DependencyDown, FunctionError, Invalid

MEDIA_TYPE = "application/problem+json"
_CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed"}


class SecretStoreDenied(DependencyDown):
    """Vault denies what a function asks for: its login or its policies are not what they should be.

    Nothing the caller did, and an operator can mend it; so it may work later.
    """

    code = "secret_store_denied"
    title = "Secret store denied"


def problem(error: FunctionError, *, instance: str, trace_id: str) -> dict[str, Any]:
    """Return the problem document of an error."""
    document: dict[str, Any] = {
        "type": f"urn:alphapulse:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": instance,
        "code": error.code,
        "trace_id": trace_id,
        **error.extra,
    }
    if error.errors:
        document["errors"] = error.errors
    return document


def problem_response(error: FunctionError, *, instance: str, trace_id: str) -> Response:
    """Return the HTTP answer of an error, `Retry-After` and `WWW-Authenticate` included."""
    headers = {}
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(error.retry_after_seconds)
    if error.status == 401:  # noqa: PLR2004 - the status RFC 9110 asks a challenge for
        headers["WWW-Authenticate"] = 'Bearer realm="alphapulse"'
    return Response(
        orjson.dumps(problem(error, instance=instance, trace_id=trace_id)),
        status_code=error.status,
        headers=headers,
        media_type=MEDIA_TYPE,
    )


def as_function_error(error: Exception) -> FunctionError:
    """Return the error to answer with; an unexpected one keeps its text to itself."""
    from alphapulse.data.errors import DatabaseUnavailable  # noqa: PLC0415 - error path only
    from alphapulse.tenancy.tokens import KeysUnavailable  # noqa: PLC0415

    if isinstance(error, FunctionError):
        return error
    if isinstance(error, DatabaseUnavailable):
        return DependencyDown(
            # Not that nothing was changed: the answer to a commit may be what was lost.
            "the database does not answer; try again, with the same Idempotency-Key if there was one",
            retry_after_seconds=error.retry_after_seconds,
        )
    if isinstance(error, KeysUnavailable):
        return DependencyDown("tokens cannot be verified at the moment")
    if isinstance(error, ClientDisconnect):
        return Invalid("the connection ended before the body did")  # for the log; nobody reads the answer
    return (
        _of_vault(error)
        or _of_billing(error)
        or _of_provisioning(error)
        or FunctionError("an unexpected error occurred; quote the trace id when you report it")
    )


def is_our_fault(answer: FunctionError) -> bool:
    """Tell an answer that somebody must look into: it is logged as an error, with its cause."""
    return type(answer) is FunctionError or isinstance(answer, SecretStoreDenied)


def _of_vault(error: Exception) -> FunctionError | None:
    from alphapulse.tenancy.vault.errors import VaultDenied, VaultUnavailable  # noqa: PLC0415 - as above

    if isinstance(error, VaultUnavailable):
        return DependencyDown(
            "the store of secrets does not answer; try again",
            retry_after_seconds=error.retry_after_seconds,
        )
    if isinstance(error, VaultDenied):
        return SecretStoreDenied(
            "the store of secrets denies the platform what it asked for; try again later"
        )
    return None


def _of_billing(error: Exception) -> FunctionError | None:
    from alphapulse.billing.provider import BillingRefused, BillingUnavailable  # noqa: PLC0415 - as above

    if isinstance(error, BillingUnavailable):
        return DependencyDown(str(error), retry_after_seconds=error.retry_after_seconds)
    if isinstance(error, BillingRefused):
        return Invalid(str(error), code="billing_refused")
    return None


def _of_provisioning(error: Exception) -> FunctionError | None:
    from alphapulse.tenancy.keyspace import KeyspaceUnavailable  # noqa: PLC0415 - as above
    from alphapulse.tenancy.states import TransitionRefused  # noqa: PLC0415

    if isinstance(error, KeyspaceUnavailable):
        return DependencyDown(str(error))
    if isinstance(error, TransitionRefused):
        return Conflict(str(error), code="tenant_status")
    return None


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer the framework's own refusals (unknown path, wrong method) as problems too."""
    if not isinstance(error, HTTPException):
        raise error
    answer = FunctionError(str(error.detail), code=_CODES.get(error.status_code, "http_error"))
    answer.status = error.status_code
    answer.title = str(error.detail)
    trace_id = request.scope["state"]["trace"].trace_id
    response = problem_response(answer, instance=request.url.path, trace_id=trace_id)
    response.headers.update(error.headers or {})
    return response
