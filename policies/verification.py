"""When a recovery counts as verified (runbook §5): a streak of good looks, not one."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from contracts.policy import VerificationPolicy
from contracts.remediation import VerificationLook


class Verification(StrEnum):
    """What the looks so far amount to."""

    PASSED = "PASSED"
    FAILED = "FAILED"
    LOOK_AGAIN = "LOOK_AGAIN"


def conclude(looks: Sequence[VerificationLook], policy: VerificationPolicy) -> Verification:
    """PASSED after `consecutive` good looks in a row; FAILED once `window` has gone by without them."""
    tail = looks[-policy.consecutive :]
    if len(tail) == policy.consecutive and all(look.ok for look in tail):
        return Verification.PASSED
    if len(looks) > 1 and looks[-1].at - looks[0].at >= policy.window:
        return Verification.FAILED
    return Verification.LOOK_AGAIN


def complaints(look: VerificationLook) -> str:
    """What is wrong, in one line."""
    return "; ".join(f"{check.name}: {check.detail}" for check in look.checks if not check.ok)
