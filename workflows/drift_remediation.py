"""DriftRemediation: the runbook's main loop for one model.

    ANALYZING ─→ PLANNING ─→ AWAITING_APPROVAL ─→ EXECUTING ─→ CANARY ─→ VERIFYING ─→ CLOSING
        │  ▲                   │ rejected: REJECTED               │          │
        │  │                   │ silence:  EXPIRED                │          │ verified: RESOLVED
        │  └───── next attempt, at most max_attempts ─────────────┴──────────┘ else ROLLED_BACK or FAILED
        ├─→ NO_DRIFT   severity is below normal
        └─→ adopt      a canary is open already: it gets an owner and is seen through

- Runs as `remediation/{tenant}/{model}`: at most one owner per model. Alerts join by `attach`.
- A step that policy gates runs only after a decision for that very plan.
- Cancel, bug and outage settle the model first (no canary of ours stays open), then say so and page.
"""

from __future__ import annotations

import asyncio
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.ports import EcosystemPort, PlatoPort
    from contracts.canary import CanaryOutcome, CanaryResult
    from contracts.gate import GateKind, GateState, OnSilence
    from contracts.perception import DriftState
    from contracts.plato import Plan, PlanStatus, StepType, plan_hash
    from contracts.remediation import Evidence, Outcome, Phase, RemediationInput, RemediationResult, VerificationLook
    from contracts.steps import ModelRef, PlanRequest, VerifyRequest
    from contracts.timeline import EventKind
    from policies import gates, plans
    from policies.settings import check_policy
    from policies.verification import Verification, complaints, conclude
    from workflows import options, search_attributes
    from workflows.model_owner import ModelOwner

T = TypeVar("T")


@workflow.defn(name="DriftRemediation")
class DriftRemediation(ModelOwner):
    """From drift to verified recovery, or to a human who knows why not."""

    path = "DriftRemediation"

    @workflow.init
    def __init__(self, start: RemediationInput) -> None:
        super().__init__(start)

    @workflow.run
    async def run(self, start: RemediationInput) -> RemediationResult:
        try:
            if problems := check_policy(start.policy):
                raise ApplicationError(
                    f"policy out of range: {'; '.join(problems)}", type="PolicyOutOfRange", non_retryable=True
                )
            outcome, reason = await self._remediate()
        except (Exception, asyncio.CancelledError) as failure:
            result = await self._compensate(failure)
            await self._leave()
            if is_cancelled_exception(failure):
                raise
            self._hand_over_if_queued()
            raise ApplicationError(result.reason, result, type="RemediationFailed", non_retryable=True) from failure
        result = await self.close(outcome, reason)
        await self._leave()
        self._hand_over_if_queued()
        return result

    async def _remediate(self) -> tuple[Outcome, str]:
        """Attempt after attempt, until the model is healthy or humans have to take over."""
        self._introduce()
        for attempt in range(1, self._policy.max_attempts + 1):
            self._attempt = attempt
            evidence = await self.analyze()
            if self._is_normal(evidence):
                return Outcome.NO_DRIFT, f"severity {evidence.severity:.2f} is normal"
            plan = await self.plan(evidence)
            answer = await self.gate(plan, evidence)
            if answer is not GateState.APPROVED:
                return await self._decline(plan, answer)
            ended = await self.execute(plan)
            if ended is not None and ended.outcome is not CanaryOutcome.PROMOTED:
                await self._tell_plato(PlanStatus.FAILED, ended.reason)
                if ended.outcome is CanaryOutcome.SUPERSEDED:
                    return Outcome.SUPERSEDED, ended.reason
                if not ended.by_judge:
                    self._call_human(f"canary of {ended.version} was rolled back", ended.reason)
                    return Outcome.ROLLED_BACK, ended.reason
                continue
            if await self.verify():
                await self._tell_plato(PlanStatus.COMPLETED, "verified")
                return Outcome.RESOLVED, "recovery verified"
            await self._tell_plato(PlanStatus.FAILED, "recovery could not be verified")
            if not plans.acts(plan):
                break
        return self._give_up()

    # The phases, in the runbook's order.

    async def analyze(self) -> Evidence:
        """Runbook §3: everything there is to read, at once."""
        self._enter(Phase.ANALYZING)
        evidence = await self._insist(
            "analysis",
            lambda: workflow.execute_activity_method(
                EcosystemPort.analyze,
                ModelRef(tenant=self._tenant, model=self._model),
                **options.reading(
                    self._tenant,
                    self._policy.outage_patience,
                    options.TO_CANARY_START,
                    summary=f"analyze {self._model}",
                ),
            ),
        )
        self._evidence = evidence
        if self._severity_before is None:
            self._severity_before = evidence.severity
        severity = "not measured" if evidence.severity is None else f"{evidence.severity:.2f}"
        worst = ", ".join(f"{f.feature} PSI {f.psi:.2f}" for f in evidence.worst_features[:3] if f.severity > 0)
        self._note(
            EventKind.EVIDENCE,
            f"severity {severity} ({evidence.state}) over {evidence.window_rows} rows; worst: {worst or 'none'}",
            actor="PERCEPTION",
            severity=evidence.severity,
        )
        if evidence.severity is not None:
            workflow.upsert_search_attributes([search_attributes.SEVERITY.value_set(evidence.severity)])
        return evidence

    async def plan(self, evidence: Evidence) -> Plan:
        """Runbook §3.3: PLATO plans. A canary that is open already is adopted instead."""
        self._enter(Phase.PLANNING)
        severity = evidence.severity or self._alert.severity or 0.0
        if evidence.open_deployments:
            plan = plans.adoption(evidence.open_deployments[0], severity, workflow.now())
        else:
            request = PlanRequest(
                tenant=self._tenant,
                model=self._model,
                severity=severity,
                attempt=self._attempt,
                excluded_versions=self._rolled_back,
                key=f"{workflow.info().first_execution_run_id}:{self._alert.episode}:{self._attempt}",
            )
            plan = await self._insist(
                "planning",
                lambda: workflow.execute_activity_method(
                    PlatoPort.create_plan,
                    request,
                    **options.writing(
                        self._tenant,
                        self._policy.outage_patience,
                        options.TO_CANARY_START,
                        summary=f"plan, attempt {self._attempt}",
                    ),
                ),
            )
        self._plan, self._plan_hash = plan, plan_hash(plan)
        steps = "; ".join(plans.describe(step) for step in plan.steps)
        text = f"plan {plan.id}, attempt {self._attempt}: {steps or 'no steps'}. {plan.rationale}"
        self._note(EventKind.PLAN, text, actor="PLATO", plan_id=plan.id, plan_hash=self._plan_hash)
        if unknown := gates.unknown_steps(plan):
            raise ApplicationError(
                f"plan {plan.id} has steps that driftloop can't execute: {', '.join(unknown)}; "
                f"known are {', '.join(StepType)}",
                type="UnknownStep",
                non_retryable=True,
            )
        return plan

    async def gate(self, plan: Plan, evidence: Evidence) -> GateState:
        """Ask a human where policy says so. Before a canary, silence does nothing and expires."""
        why = gates.reasons_to_ask(evidence, plan, self._policy)
        if not why:
            self._note(EventKind.GATE, "policy lets this plan run unasked", plan_hash=self._plan_hash)
            return GateState.APPROVED
        self._gate = gates.open_gate(
            policy=self._policy.gate,
            # The run id makes a gate of a reset run another gate: re-applied decisions open nothing.
            id=f"plan-{self._attempt}-{workflow.info().run_id[:8]}",
            kind=GateKind.PLAN,
            plan_hash=self._plan_hash,
            title=f"plan {plan.id} for {self._model}",
            will_happen=[plans.describe(self._as_executed(step)) for step in plan.steps],
            why=[*why, plan.rationale] if plan.rationale else why,
            requested_by=self._requested_by,
            now=workflow.now(),
            timeout=self._policy.gate.plan_timeout,
            on_silence=OnSilence.EXPIRE,
            first_tier=self._first_tier(),
        )
        self._note(EventKind.GATE, f"asking: {self._gate.title}: {'; '.join(why)}", gate_id=self._gate.id)
        self._enter(Phase.AWAITING_APPROVAL)
        answer = await self._wait_for_answer()
        self._gate = None
        return answer

    async def execute(self, plan: Plan) -> CanaryResult | None:
        """Steps go to SYNAPSE as actions; a canary step is then rolled out. Answers how the canary ended."""
        self._enter(Phase.EXECUTING)
        await self._tell_plato(PlanStatus.EXECUTING)
        for step in map(self._as_executed, plan.steps):
            if step.type == StepType.OBSERVE:
                self._note(EventKind.PLAN, f"observing: {step.description}")
                self._call_human(f"{self._model} drifts and there is nothing to roll out", step.description)
                continue
            deployment_id = await self._execute_step(plan, step)
            if step.type == StepType.CANARY:
                ended = await self.roll_out(deployment_id)
                if ended.outcome is not CanaryOutcome.PROMOTED:
                    return ended
        return None

    async def roll_out(self, deployment_id: str) -> CanaryResult:
        """The canary gets an owner of its own, which reports here until it is promoted or rolled back."""
        self._deployment_id = deployment_id
        self._canary_started_at = self._canary_started_at or workflow.now()
        self._enter(Phase.CANARY)
        result = await self._run_child(deployment_id)
        if result.outcome is CanaryOutcome.ROLLED_BACK:
            self._rolled_back.append(result.version)
        elif result.outcome is CanaryOutcome.PROMOTED:
            self._promoted = result.version
        return result

    async def verify(self) -> bool:
        """Runbook §5: a streak of good looks within a window."""
        self._enter(Phase.VERIFYING)
        known_rollbacks = self._evidence.rolled_back_deployments if self._evidence else []
        looks: list[VerificationLook] = []
        while True:
            look = await self._insist(
                "verification",
                lambda: workflow.execute_activity_method(
                    EcosystemPort.verify,
                    VerifyRequest(
                        tenant=self._tenant,
                        model=self._model,
                        normal_severity=self._policy.drift.normal_severity,
                        deployment_id=self._deployment_id if self._promoted else None,
                        known_rollbacks=known_rollbacks,
                    ),
                    **options.reading(
                        self._tenant,
                        self._policy.outage_patience,
                        options.EVALUATION,
                        summary=f"verification look {len(looks) + 1}",
                    ),
                ),
            )
            look = look.model_copy(update={"at": workflow.now()})  # one clock for the whole window
            looks.append(look)
            self._verification, self._severity_after = look, look.severity
            found = complaints(look) or "all checks pass"
            self._note(EventKind.LOOK, f"verification look {len(looks)}: {found}", severity=look.severity, ok=look.ok)
            self._refresh()
            verdict = conclude(looks, self._policy.verification)
            if verdict is not Verification.LOOK_AGAIN:
                if look.severity is not None:
                    workflow.upsert_search_attributes([search_attributes.SEVERITY.value_set(look.severity)])
                return verdict is Verification.PASSED
            await workflow.sleep(self._policy.verification.interval, summary="until the next verification look")

    # What the phases lean on.

    def _is_normal(self, evidence: Evidence) -> bool:
        """Only a measured severity can be normal: too little data is not "no drift"."""
        measured = evidence.state not in (DriftState.INSUFFICIENT_DATA, DriftState.NO_BASELINE)
        normal = self._policy.drift.normal_severity
        return (
            measured and evidence.severity is not None and evidence.severity < normal and not evidence.open_deployments
        )

    async def _decline(self, plan: Plan, answer: GateState) -> tuple[Outcome, str]:
        if answer is GateState.REJECTED:
            await self._tell_plato(PlanStatus.REJECTED, "rejected by a human")
            return Outcome.REJECTED, f"plan {plan.id} was rejected"
        await self._tell_plato(PlanStatus.EXPIRED, "nobody answered")
        reason = f"nobody answered about plan {plan.id} within {self._policy.gate.plan_timeout}; nothing was done"
        self._call_human(f"{self._model} still drifts: its plan expired", reason)
        return Outcome.EXPIRED, reason

    def _give_up(self) -> tuple[Outcome, str]:
        tried = ", ".join(self._rolled_back) or "none"
        reason = f"not recovered after {self._attempt} attempt(s); rolled back: {tried}"
        self._call_human(f"{self._model} still drifts: driftloop is out of attempts", reason)
        return (Outcome.ROLLED_BACK if self._rolled_back and not self._promoted else Outcome.FAILED), reason
