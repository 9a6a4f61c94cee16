"""The runbook's commands, pasted into a shell, against the embedded services."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.runbook_cases import CASES, LATER, QUICK_REFERENCE, Case, Values
from tests.kit.eventually import assert_eventually
from tests.kit.processes import RunningStack
from tests.kit.world import World

RUNBOOK = Path(__file__).parents[3] / "shared" / "runbook.md"
MODEL, TENANT = "MY_MODEL", "your-tenant-id"
# curl alone calls a 404 a success.
PRELUDE = 'set -euo pipefail\ncurl() { command curl --fail-with-body "$@"; }\n'

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.xdist_group("runbook"),  # its model's name is given
    pytest.mark.skipif(not (shutil.which("jq") and shutil.which("curl")), reason="the runbook needs curl and jq"),
]


def blocks() -> list[tuple[str, str]]:
    """Every bash block of the runbook with the number (or the words) of its section."""
    if not RUNBOOK.is_file():
        return []
    section, found = "", []
    for heading, body in re.findall(r"^###? ([^\n]+)$|^```bash\n(.*?)^```$", RUNBOOK.read_text(), re.M | re.S):
        if heading:
            section = number.group() if (number := re.match(r"\d+\.\d+", heading)) else heading
        else:
            found.append((section, body))
    return found


BLOCKS = blocks()
needs_runbook = pytest.mark.skipif(not BLOCKS, reason=f"no ../shared/{RUNBOOK.name} beside the project")


@pytest.fixture(scope="module")
async def my_model(stack: RunningStack) -> AsyncIterator[World]:
    world = World(stack.urls, tenant=TENANT, model=MODEL)
    await world.register(v2="good")
    await world.serve(600, centre=0.0)
    yield world
    await world.close()


@pytest.fixture
async def variables(
    stack: RunningStack, my_model: World, request: pytest.FixtureRequest
) -> AsyncIterator[dict[str, str]]:
    """The runbook's five, a plan whose action has started a canary, and its deployment."""
    wanted = {"planType": "DRIFT_REMEDIATION", "model": MODEL, "severity": 0.9}
    plan = (await my_model.plato.post("/api/v1/plans", json=wanted)).json()
    previous = "v2" if await my_model.production() == "v1" else "v1"
    start = {"planId": plan["id"], "stepId": "step-1", "type": "START_CANARY", "model": MODEL}
    action = {**start, "params": {"version": previous}}
    submitted = (await my_model.synapse.post("/api/v1/actions", json=action)).json()

    async def started() -> str:
        done = (await my_model.synapse.get(f"/api/v1/actions/{submitted['id']}")).json()
        assert done["status"] == "SUCCEEDED", done
        return str(done["result"]["deploymentId"])

    deployment = await assert_eventually(started)
    if not request.node.callspec.params["case"].beside_a_canary:
        await my_model.post(f"/api/v1/models/{MODEL}/deployments/{deployment}/rollback", {"reason": "out of the way"})
    yield {
        **stack.environment(),
        "TENANT_ID": TENANT,
        "PROMETHEUS_URL": "http://127.0.0.1:9090",
        "DEPLOYMENT_ID": deployment,
        "PLAN_ID": plan["id"],
        "PREVIOUS_VERSION": previous,
    }
    for open_one in await my_model.deployments():
        if open_one["status"] in ("IN_PROGRESS", "PAUSED"):
            path = f"/api/v1/models/{MODEL}/deployments/{open_one['id']}/rollback"
            await my_model.post(path, {"reason": "the test is over"})
    await my_model.perception.put("/api/v1/config/drift", json={"autoRemediationEnabled": True})
    if await my_model.production() != "v1":
        await my_model.post(f"/api/v1/models/{MODEL}/versions/v1/promote", {"stage": "PRODUCTION", "reason": "back"})
        await my_model.serve(600, centre=0.0)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.section)
async def test_what_the_runbook_asks_for_works_in_our_words(case: Case, variables: dict[str, str]) -> None:
    said = await paste(case.own, variables)
    assert case.gives(said), said


@needs_runbook
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.section)
async def test_the_runbooks_own_block_gives_what_the_text_says(case: Case, variables: dict[str, str]) -> None:
    for section, block in BLOCKS:
        if section == case.section and not _is_for_later(section, block):
            said = await paste(block, variables)
            assert case.gives(said), said


@needs_runbook
def test_every_block_of_the_runbook_is_run_here_or_listed_for_later() -> None:
    ours = {case.section for case in CASES} | {"API Quick Reference"}
    left = {section for section, block in BLOCKS if _is_for_later(section, block)}
    missing = [section for section, block in BLOCKS if section not in ours | left and "export " not in block]
    assert left == set(LATER)
    assert not missing


async def test_the_services_have_every_call_of_the_quick_reference(my_model: World) -> None:
    reference = next((block for section, block in BLOCKS if section == "API Quick Reference"), "")
    wanted = re.findall(r"^(GET|POST) +\$(\w+)_URL([^?\s]+)", reference or QUICK_REFERENCE, re.M)
    assert len(wanted) == len(QUICK_REFERENCE.strip().splitlines())
    for method, service, path in wanted:
        openapi = await getattr(my_model, service.lower()).get("/openapi.json")
        calls = {
            (verb.upper(), re.sub(r"{\w+}", "{}", known))
            for known, verbs in openapi.json()["paths"].items()
            for verb in verbs
        }
        assert (method, re.sub(r"{\w+}", "{}", path)) in calls, path


def _is_for_later(section: str, block: str) -> bool:
    return section in LATER and ("kubectl" in block or "run-scenarios" in block)


async def paste(block: str, variables: dict[str, str]) -> Values:
    """Run a block in bash. Placeholders are filled in; nothing else is changed."""
    for placeholder, name in (("{deploymentId}", "DEPLOYMENT_ID"), ("{planId}", "PLAN_ID")):
        block = block.replace(placeholder, variables[name])
    block = block.replace("PREVIOUS_VERSION", variables["PREVIOUS_VERSION"])
    shell = await asyncio.create_subprocess_exec(
        *("bash", "-c", PRELUDE + block),
        env={**variables, "PATH": "/usr/local/bin:/usr/bin:/bin"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(shell.communicate(), 30)
    assert shell.returncode == 0, f"{block}\n{out.decode()}\n{err.decode()}"
    return list(_json_values(out.decode()))


def _json_values(text: str) -> Iterator[Any]:
    decoder = json.JSONDecoder()
    while text := text.lstrip():
        value, end = decoder.raw_decode(text)
        yield value
        text = text[end:]
