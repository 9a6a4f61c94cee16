"""The demonstration: start the stack, register, drive traffic, watch, prove."""

from __future__ import annotations

import asyncio
import logging
import shutil
from contextlib import suppress
from pathlib import Path

import httpx
import yaml
from rich.table import Table
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.service import RPCError

from butterfly.story.flights import seasons
from butterfly.story.traffic import Traffic
from butterfly.story.training import versions
from cli.context import NOTE, console
from cli.demo.live import Progress
from cli.demo.proof import Fact, collect
from cli.operate import with_live_canary
from cli.stack.lock import locked
from cli.stack.stack import POLICY, TENANT, Stack
from contracts.ids import remediation_id
from contracts.remediation import RemediationResult
from workflows.drift_remediation import DriftRemediation

MODEL = "flights"

_WINTER_ROWS = 600
_ROWS_PER_SECOND = 400.0
_LOOK_EVERY = 0.4  # seconds
_DEADLINE = 115.0  # seconds for everything after the install, unless a person is asked

Handle = WorkflowHandle[DriftRemediation, RemediationResult]


async def demonstrate(directory: Path, *, ask: bool, keep: bool) -> bool:
    """True when every fact was measured. Raises RuntimeError when the stack does not come up."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    with locked(directory):
        stack = Stack(directory, _fresh(directory, ask))
        NOTE.write_text(stack.note())
        try:
            facts = await _within_deadline(stack, ask)
            _summarize(stack, facts)
            if keep:
                console.print("the stack stays up: press Ctrl-C to stop it")
                with suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()
        finally:
            NOTE.unlink(missing_ok=True)
            await stack.stop()
    return all(fact.holds for fact in facts)


async def register(client: httpx.AsyncClient) -> Traffic:
    """The model and its versions, known to PERCEPTION; and the traffic that will meet them."""
    year = await asyncio.to_thread(seasons)
    traffic = Traffic(client, MODEL, year, _ROWS_PER_SECOND)
    await traffic.register(await asyncio.to_thread(versions, year))
    return traffic


async def _within_deadline(stack: Stack, ask: bool) -> list[Fact]:
    try:
        async with asyncio.timeout(None if ask else _DEADLINE):
            with console.status("starting") as spinner:
                await stack.start(lambda name: spinner.update(f"starting {name}"))
            console.print(f"Temporal UI    {stack.addresses.ui}", highlight=False)
            console.print(f"PERCEPTION     {stack.addresses.perception}/docs", highlight=False)
            headers = {"X-Tenant-ID": TENANT}
            async with httpx.AsyncClient(
                base_url=stack.addresses.perception, headers=headers, timeout=20, trust_env=False
            ) as client:
                return await _story(stack, client)
    except TimeoutError:
        raise RuntimeError(f"not finished after {_DEADLINE:g} s; logs are in {stack.directory / 'logs'}") from None


async def _story(stack: Stack, client: httpx.AsyncClient) -> list[Fact]:
    traffic = await register(client)
    with Progress(console) as progress:
        progress.waiting(f"serving winter flights to {MODEL} v1-winter: what it was trained for")
        await traffic.winter(_WINTER_ROWS)
        severity = (await client.get(f"/api/v1/drift/models/{MODEL}/status")).json()["severity"]
        progress.waiting(f"{traffic.served} winter flights served, severity {severity:.2f}; summer comes")
        driving = asyncio.create_task(traffic.summer())
        try:
            handle = (await stack.client()).get_workflow_handle_for(DriftRemediation.run, remediation_id(TENANT, MODEL))
            await _watch(handle, stack, traffic, driving, progress)
        finally:
            driving.cancel()
            with suppress(asyncio.CancelledError):
                await driving
    status = await handle.query(DriftRemediation.status)
    return await collect(client, TENANT, MODEL, status, await _result(handle))


async def _watch(
    handle: Handle, stack: Stack, traffic: Traffic, driving: asyncio.Task[None], progress: Progress
) -> None:
    client = await stack.client()
    while True:
        if driving.done():
            driving.result()  # traffic never ends by itself: this raises what ended it
        described = f"{traffic.season} traffic: {traffic.served} flights served"
        try:
            status = await with_live_canary(client, await handle.query(DriftRemediation.status))
            timeline = await handle.query(DriftRemediation.timeline)
        except RPCError:
            # Not started yet, or Temporal is being restarted: look again.
            progress.waiting(f"{described}; waiting for PERCEPTION to measure drift")
        else:
            progress.show(status, timeline, described)
            if status.outcome is not None and (await handle.describe()).status != 1:
                return
        await asyncio.sleep(_LOOK_EVERY)


async def _result(handle: Handle) -> RemediationResult:
    try:
        return await handle.result()
    except WorkflowFailureError as error:
        raise RuntimeError(f"the remediation failed: {error.cause}") from error


def _summarize(stack: Stack, facts: list[Fact]) -> None:
    table = Table(title="What was measured", title_justify="left")
    for column in ("", "claim", "found"):
        table.add_column(column, overflow="fold")
    for fact in facts:
        table.add_row("[green]✓[/]" if fact.holds else "[red]✗[/]", fact.claim, fact.found)
    console.print(table)
    for name, times in stack.supervisor.restarts.items():
        console.print(f"{name} was restarted {times} time(s)")


def _fresh(directory: Path, ask: bool) -> Path:
    """An empty directory with the policy in it: each run tells the story from its beginning."""
    for child in directory.iterdir():
        if child.name != "lock":
            shutil.rmtree(child) if child.is_dir() else child.unlink()
    policy = yaml.safe_load(POLICY.read_text())
    policy["driftloop"]["gate"]["always-ask"] = ask
    path = directory / "policy.yaml"
    path.write_text(yaml.safe_dump(policy))
    return path
