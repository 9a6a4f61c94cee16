"""Named timeouts, retries and priorities. Nothing of the kind stands inline in a workflow.

Priorities: 1 is first. The way out (rollback) goes before everything, the way to a canary's start before
evaluations, so that a storm delays looks and never a rollback. The fairness key is the tenant.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio.common import Priority, RetryPolicy
from temporalio.workflow import ActivityCancellationType, ActivityConfig

ROLLBACK_FIRST = 1
TO_CANARY_START = 2
NORMAL = 3
EVALUATION = 4

SERVICE_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=500), backoff_coefficient=2, maximum_interval=timedelta(seconds=30)
)
"""Retries until `schedule_to_close`: permanent failures are marked as such by the activity."""

PAGE_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=3, maximum_interval=timedelta(minutes=1)
)


def reading(tenant: str, patience: timedelta, priority: int = NORMAL, *, summary: str) -> ActivityConfig:
    """A read of seconds, tried again for `patience`."""
    return ActivityConfig(
        summary=summary,
        start_to_close_timeout=timedelta(seconds=15),
        schedule_to_close_timeout=patience,
        retry_policy=SERVICE_RETRY,
        priority=Priority(priority_key=priority, fairness_key=tenant),
    )


def writing(tenant: str, patience: timedelta, priority: int = NORMAL, *, summary: str) -> ActivityConfig:
    """An idempotent write. A cancel waits for its end: half-known is worse than late."""
    return ActivityConfig(
        summary=summary,
        start_to_close_timeout=timedelta(seconds=30),
        schedule_to_close_timeout=patience,
        retry_policy=SERVICE_RETRY,
        priority=Priority(priority_key=priority, fairness_key=tenant),
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


def executing(tenant: str, patience: timedelta, *, summary: str) -> ActivityConfig:
    """A SYNAPSE action, minutes long: heartbeats tell a dead worker from a slow action."""
    return ActivityConfig(
        summary=summary,
        start_to_close_timeout=timedelta(minutes=10),
        schedule_to_close_timeout=timedelta(minutes=10) + patience,
        heartbeat_timeout=timedelta(seconds=20),
        retry_policy=SERVICE_RETRY,
        priority=Priority(priority_key=TO_CANARY_START, fairness_key=tenant),
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


def settling(tenant: str, patience: timedelta, *, summary: str) -> ActivityConfig:
    """Compensation: before everything else, and long enough to wait for an action under way."""
    return ActivityConfig(
        summary=summary,
        start_to_close_timeout=timedelta(minutes=10),
        schedule_to_close_timeout=timedelta(minutes=10) + patience,
        heartbeat_timeout=timedelta(seconds=20),
        retry_policy=SERVICE_RETRY,
        priority=Priority(priority_key=ROLLBACK_FIRST, fairness_key=tenant),
    )


def paging(tenant: str, *, summary: str) -> ActivityConfig:
    """A page: tried for ten minutes beside the loop, which never waits for it."""
    return ActivityConfig(
        summary=summary,
        start_to_close_timeout=timedelta(seconds=30),
        schedule_to_close_timeout=PAGE_PATIENCE,
        retry_policy=PAGE_RETRY,
        priority=Priority(priority_key=NORMAL, fairness_key=tenant),
        cancellation_type=ActivityCancellationType.ABANDON,
    )


ROLLBACK_ATTEMPT_PAUSE = timedelta(minutes=1)
"""Between two rounds of trying to roll a canary back while its service is out; each round pages further up."""

ORDER_ANSWER = timedelta(seconds=30)
"""How long an operator's order waits for the canary's own word before it answers "handed over"."""

PAGE_PATIENCE = timedelta(minutes=10)
"""How long a page is tried, and how long a remediation that ends waits for it: its pages are the last word."""

PAGE_GRACE = timedelta(seconds=30)
"""How long a canary that ends, or continues as new, waits for its pages: its remediation wants to go on."""

SHORTEST_WAIT = timedelta(milliseconds=1)
"""A timer of zero would spin; what is due is done before sleeping."""
