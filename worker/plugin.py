"""One plugin for Client, Worker and Replayer, so that the three can't differ."""

from __future__ import annotations

from dataclasses import replace

import pydantic
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.plugin import SimplePlugin
from temporalio.worker import WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from workflows.canary_rollout import CanaryRollout
from workflows.drift_remediation import DriftRemediation

WORKFLOWS: list[type] = [DriftRemediation, CanaryRollout]

# Pure modules: importing them once for all instead of once per workflow is most of the sandbox's cost.
_PURE = ("contracts", "policies", "activities.ports", "durationpy", "workflows.options", "workflows.search_attributes")


def driftloop_plugin() -> SimplePlugin:
    """Data converter, tracing, sandbox rules and failure types, identical wherever histories are made or read."""
    return SimplePlugin(
        "driftloop",
        data_converter=pydantic_data_converter,
        interceptors=[TracingInterceptor()],
        workflows=WORKFLOWS,
        workflow_runner=_runner,
        # A start input that does not parse fails its workflow instead of retrying a task for ever.
        workflow_failure_exception_types=[pydantic.ValidationError],
    )


def _runner(existing: WorkflowRunner | None) -> WorkflowRunner:
    if isinstance(existing, SandboxedWorkflowRunner):
        return replace(existing, restrictions=existing.restrictions.with_passthrough_modules(*_PURE))
    return existing or SandboxedWorkflowRunner()
