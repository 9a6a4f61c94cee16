"""HTTP failures as Temporal failures, sorted once: permanent or worth another try (DESIGN §4)."""

from __future__ import annotations

import email.utils
from datetime import UTC, datetime, timedelta
from typing import NoReturn

import httpx
from temporalio.exceptions import ApplicationError

PERMANENT = frozenset({400, 401, 403, 404, 405, 409, 410, 422})
_READABLE = 300  # characters of a body that a person will read at 3 a.m.
_LONGEST_RETRY_AFTER = timedelta(minutes=10)

NAMES = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    422: "Unprocessable",
    429: "TooManyRequests",
}


def raise_for_response(service: str, response: httpx.Response) -> NoReturn:
    """Raise the ApplicationError that an error response stands for; its type is the class of the failure."""
    status = response.status_code
    request = response.request
    raise ApplicationError(
        f"{service} answered {status} to {request.method} {request.url.path}: {explain(response)}",
        type=NAMES.get(status, "ServiceError"),
        non_retryable=status in PERMANENT,
        next_retry_delay=retry_after(response),
    )


def raise_for_transport(service: str, error: httpx.TransportError) -> NoReturn:
    """Raise a retryable ApplicationError: nobody knows whether the request had an effect."""
    request = error.request
    raise ApplicationError(
        f"{service} did not answer {request.method} {request.url.path}: {type(error).__name__} {error}".rstrip(),
        type="ServiceUnreachable",
    ) from error


def raise_for_body(service: str, response: httpx.Response, why: str) -> NoReturn:
    """Raise a retryable ApplicationError: an answer that is not what the contract says may be a passing fault."""
    request = response.request
    raise ApplicationError(
        f"{service} answered {response.status_code} to {request.method} {request.url.path} "
        f"with something unreadable: {why[:_READABLE]}",
        type="BadResponse",
    )


def explain(response: httpx.Response) -> str:
    """The service's own message if it has one, else the start of the body; never more than a person reads."""
    try:
        body = response.json()
    except ValueError:
        body = None
    message = body.get("message") or body.get("detail") if isinstance(body, dict) else None
    text = str(message) if message else response.text
    text = " ".join(text.split())
    return text if len(text) <= _READABLE else f"{text[:_READABLE]}…"


def retry_after(response: httpx.Response) -> timedelta | None:
    """`Retry-After` in seconds or as an HTTP date, at most 10 minutes; None when absent or unreadable."""
    value = response.headers.get("Retry-After", "")
    if value.isdigit():
        wait = timedelta(seconds=min(int(value), 86_400))
    else:
        try:
            wait = email.utils.parsedate_to_datetime(value) - datetime.now(UTC)
        except (TypeError, ValueError):
            return None
    return max(timedelta(0), min(wait, _LONGEST_RETRY_AFTER))
