"""Names and signatures of all activities, and nothing else.

Workflows import this module only, so that no HTTP client is ever loaded into the workflow sandbox. The
classes that do the work subclass these; `worker.wiring` registers them.
"""

from __future__ import annotations

from temporalio import activity

from contracts.canary import CanaryReading
from contracts.plato import Plan
from contracts.remediation import Evidence, VerificationLook
from contracts.steps import (
    CanaryMove,
    CanaryRef,
    ModelRef,
    Page,
    PageResult,
    PlanMove,
    PlanRequest,
    ReportRequest,
    ReportResult,
    Settled,
    SettleRequest,
    StepRequest,
    StepResult,
    VerifyRequest,
)


class EcosystemPort:
    """Questions that several services answer together."""

    @activity.defn(name="ecosystem.analyze")
    async def analyze(self, request: ModelRef) -> Evidence:
        """Everything runbook §3 looks at, read concurrently."""
        raise NotImplementedError

    @activity.defn(name="ecosystem.verify")
    async def verify(self, request: VerifyRequest) -> VerificationLook:
        """Everything runbook §5 looks at, read concurrently."""
        raise NotImplementedError

    @activity.defn(name="ecosystem.settle")
    async def settle(self, request: SettleRequest) -> Settled:
        """Wait for SYNAPSE to finish with a plan, then roll back what the plan left open."""
        raise NotImplementedError


class PerceptionPort:
    """Canary deployments."""

    @activity.defn(name="perception.read_canary")
    async def read_canary(self, request: CanaryRef) -> CanaryReading:
        """How a canary stands and what both arms counted."""
        raise NotImplementedError

    @activity.defn(name="perception.move_canary")
    async def move_canary(self, request: CanaryMove) -> CanaryReading:
        """Advance, pause, resume or roll back; done twice is done once. Answers how it stands afterwards."""
        raise NotImplementedError


class PlatoPort:
    """Plans."""

    @activity.defn(name="plato.create_plan")
    async def create_plan(self, request: PlanRequest) -> Plan:
        """A plan for this attempt; the same key answers with the same plan."""
        raise NotImplementedError

    @activity.defn(name="plato.move_plan")
    async def move_plan(self, request: PlanMove) -> Plan:
        """Tell PLATO how its plan stands."""
        raise NotImplementedError


class SynapsePort:
    """Actions."""

    @activity.defn(name="synapse.execute_step")
    async def execute_step(self, request: StepRequest) -> StepResult:
        """Submit a step as an action and wait for its end."""
        raise NotImplementedError


class PagingPort:
    """Humans."""

    @activity.defn(name="paging.page")
    async def page(self, request: Page) -> PageResult:
        """Page a tier of the escalation ladder."""
        raise NotImplementedError


class ReportPort:
    """Incident reports."""

    @activity.defn(name="reports.write")
    async def write(self, request: ReportRequest) -> ReportResult:
        """Write the incident report (runbook §7.1)."""
        raise NotImplementedError
