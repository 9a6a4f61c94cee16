"""What an operator types: status, approve, reject, pause, resume, advance, rollback, acknowledge."""

from __future__ import annotations

import getpass
from typing import Annotated, TypeVar

import typer
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.service import RPCError, RPCStatusCode

from cli.context import console, fail, run
from cli.show import render_status
from contracts.canary import CanaryView
from contracts.gate import Choice, Command, CommandAck, Decision, DecisionAck, Verb
from contracts.ids import remediation_id
from contracts.remediation import RemediationStatus
from policies.briefing import describe
from worker.client import connect
from workflows.canary_rollout import CanaryRollout
from workflows.drift_remediation import DriftRemediation

Model = Annotated[str, typer.Argument(help="The model's name, as PERCEPTION knows it.")]
Tenant = Annotated[str, typer.Option(envvar="TENANT_ID", help="The tenant.")]
By = Annotated[str, typer.Option(help="Who you are. A claim: decisions record it as such.", show_default="your login")]
Reason = Annotated[str, typer.Option(help="Why; it goes on record.")]

R = TypeVar("R")
Handle = WorkflowHandle[DriftRemediation, object]


def register(app: typer.Typer) -> None:
    """Add the operator's commands."""
    for command in (status, approve, reject, acknowledge, pause, resume, advance, rollback):
        app.command(rich_help_panel="Operate")(command)


def status(
    model: Model, tenant: Tenant = "", as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False
) -> None:
    """Show what goes on with MODEL, what is asked, and the line that answers."""

    async def work() -> None:
        _, found = await _find(model, tenant)
        if as_json:
            console.print_json(found.model_dump_json())
        else:
            console.print(render_status(found))

    run(work())


def approve(
    model: Model,
    tenant: Tenant = "",
    gate: Annotated[str, typer.Option(help="The gate's id. Left out: you are shown what is asked first.")] = "",
    plan: Annotated[str, typer.Option(help="The plan's hash. Left out: you are shown what is asked first.")] = "",
    by: By = "",
    comment: Annotated[str, typer.Option(help="It goes on record.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask again.")] = False,
) -> None:
    """Approve what the open gate of MODEL proposes."""
    run(_decide(Choice.APPROVE, model, tenant, gate, plan, by, comment, yes))


def reject(
    model: Model,
    tenant: Tenant = "",
    gate: Annotated[str, typer.Option(help="The gate's id. Left out: you are shown what is asked first.")] = "",
    plan: Annotated[str, typer.Option(help="The plan's hash. Left out: you are shown what is asked first.")] = "",
    by: By = "",
    comment: Annotated[str, typer.Option(help="It goes on record.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask again.")] = False,
) -> None:
    """Reject what the open gate of MODEL proposes."""
    run(_decide(Choice.REJECT, model, tenant, gate, plan, by, comment, yes))


def acknowledge(model: Model, tenant: Tenant = "", by: By = "") -> None:
    """Acknowledge the open gate of MODEL: its pages stop, its deadline stays."""
    run(_order(Verb.ACKNOWLEDGE, model, tenant, by, ""))


def pause(model: Model, tenant: Tenant = "", by: By = "", reason: Reason = "") -> None:
    """Pause the canary of MODEL where it is."""
    run(_order(Verb.PAUSE, model, tenant, by, reason))


def resume(model: Model, tenant: Tenant = "", by: By = "", reason: Reason = "") -> None:
    """Resume the paused canary of MODEL."""
    run(_order(Verb.RESUME, model, tenant, by, reason))


def advance(
    model: Model,
    tenant: Tenant = "",
    by: By = "",
    reason: Reason = "",
    from_percentage: Annotated[
        float | None, typer.Option("--from", help="Percent of traffic it stands at; left out: as it stands now.")
    ] = None,
) -> None:
    """Advance the canary of MODEL one stage, without waiting for the judge."""
    run(_order(Verb.ADVANCE, model, tenant, by, reason, from_percentage))


def rollback(model: Model, tenant: Tenant = "", by: By = "", reason: Reason = "") -> None:
    """Roll the canary of MODEL back; no further attempt is made."""
    run(_order(Verb.ROLLBACK, model, tenant, by, reason))


async def _decide(
    choice: Choice, model: str, tenant: str, gate: str, plan: str, by: str, comment: str, yes: bool
) -> None:
    handle, found = await _find(model, tenant)
    if not (gate and plan):
        if found.gate is None:
            fail(f"nothing is waiting for a decision on {model}: it is {found.outcome or found.phase}")
        console.print(render_status(found))
        if not yes and not typer.confirm(f"{choice.lower()} this?"):
            fail("nothing was decided")
        gate, plan = gate or found.gate.id, plan or found.gate.plan_hash
    decision = Decision(
        gate_id=gate, plan_hash=plan, choice=choice, by=by or getpass.getuser(), comment=comment, via="cli"
    )
    ack = await _update(handle, "decide", decision, DecisionAck)
    console.print(f"{ack.state}: {ack.message}", soft_wrap=True)


async def _order(
    verb: Verb, model: str, tenant: str, by: str, reason: str, from_percentage: float | None = None
) -> None:
    handle, found = await _find(model, tenant)
    if verb is Verb.ADVANCE and from_percentage is None and found.canary is not None:
        from_percentage = found.canary.traffic_percentage
    command = Command(verb=verb, by=by or getpass.getuser(), reason=reason, from_percentage=from_percentage, via="cli")
    ack = await _update(handle, "operate", command, CommandAck)
    console.print(ack.message, soft_wrap=True)


async def _update(handle: Handle, name: str, argument: object, answer: type[R]) -> R:
    try:
        done: R = await handle.execute_update(name, argument, result_type=answer)
        return done
    except WorkflowUpdateFailedError as error:
        fail(f"refused: {describe(error.cause)}")
    except RPCError as error:
        fail(f"{handle.id} could not be reached: {error.message}")


async def _find(model: str, tenant: str) -> tuple[Handle, RemediationStatus]:
    """The remediation of a model, running or last run. Fails in words when there is none."""
    if not tenant:
        fail("say which tenant: --tenant, or TENANT_ID in the environment")
    client = await connect()
    handle = client.get_workflow_handle_for(DriftRemediation.run, remediation_id(tenant, model))
    try:
        found = await handle.query(DriftRemediation.status)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            fail(f"no remediation of {model} for tenant {tenant}: {handle.id} does not exist in Temporal")
        fail(f"{handle.id} could not be asked: {error.message}")
    return handle, await with_live_canary(client, found)


async def with_live_canary(client: Client, found: RemediationStatus) -> RemediationStatus:
    """The canary's owner knows the counts of the very last look; its parent only hears of changes."""
    if found.canary is None or found.outcome is not None:
        return found
    try:
        view: CanaryView = await client.get_workflow_handle_for(CanaryRollout.run, found.canary_workflow_id).query(
            CanaryRollout.status
        )
    except RPCError:
        return found
    return found.model_copy(update={"canary": view, "gate": found.gate or view.gate})
