"""An alert becomes a workflow, or joins the one that owns its model: update-with-start (docs/adr/0001)."""

from __future__ import annotations

from datetime import timedelta

from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import Priority, SearchAttributePair, TypedSearchAttributes, WorkflowIDConflictPolicy

from contracts.alerts import Alert, AttachAck
from contracts.base import content_hash
from contracts.ids import TASK_QUEUE, remediation_id
from contracts.policy import RemediationPolicy
from contracts.remediation import RemediationInput
from workflows import options, search_attributes
from workflows.drift_remediation import DriftRemediation

_ANSWER_WITHIN = timedelta(seconds=10)


class Ingest:
    """Hands alerts to Temporal under one policy snapshot. Repeats of an alert change nothing."""

    def __init__(self, client: Client, policy: RemediationPolicy, task_queue: str = TASK_QUEUE) -> None:
        self._client = client
        self._policy = policy
        self._policy_hash = content_hash(policy)
        self._task_queue = task_queue

    async def submit(self, alert: Alert) -> AttachAck:
        """Start or join. Returns only after Temporal has it.

        Raises temporalio's RPCError when Temporal does not take it, WorkflowUpdateFailedError when the
        owner refuses the alert.
        """
        start = WithStartWorkflowOperation(
            DriftRemediation.run,
            RemediationInput(
                tenant=alert.tenant,
                model=alert.model,
                alert=alert,
                policy=self._policy,
                policy_hash=self._policy_hash,
                requested_by=alert.source,
            ),
            id=remediation_id(alert.tenant, alert.model),
            task_queue=self._task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=f"{alert.name} on {alert.model} ({alert.tenant})",
            priority=Priority(priority_key=options.TO_CANARY_START, fairness_key=alert.tenant),
            search_attributes=TypedSearchAttributes(
                [
                    SearchAttributePair(search_attributes.TENANT, alert.tenant),
                    SearchAttributePair(search_attributes.MODEL, alert.model),
                ]
            ),
        )
        return await self._client.execute_update_with_start_workflow(
            DriftRemediation.attach,
            alert,
            start_workflow_operation=start,
            id=f"attach-{alert.episode}",
            rpc_timeout=_ANSWER_WITHIN,
        )
