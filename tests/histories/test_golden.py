"""What past releases recorded replays on this code."""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib.metadata import version

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from tests.histories.corpus import Golden, load, releases
from worker.plugin import WORKFLOWS, driftloop_plugin


@pytest.mark.parametrize("release", releases())
async def test_every_history_of_a_release_replays_on_this_code(release: str) -> None:
    golden = list(load(release))

    async def histories() -> AsyncIterator[WorkflowHistory]:
        for one in golden:
            yield one.history

    # One replayer for all: setting one up costs as much as a replay.
    replayed = await Replayer(workflows=[], plugins=[driftloop_plugin()]).replay_workflows(
        histories(), raise_on_replay_failure=False
    )
    scenario_of = {one.history.run_id: one.scenario for one in golden}
    failed = {scenario_of[run_id]: str(error)[:300] for run_id, error in replayed.replay_failures.items()}
    assert not failed


def test_this_release_and_every_workflow_type_are_in_the_corpus() -> None:
    assert version("driftloop") in releases(), "run `make histories` and commit what it recorded"
    recorded = {golden.workflow_type for golden in load(version("driftloop"))}
    assert recorded == {workflow.__name__ for workflow in WORKFLOWS}


async def test_a_changed_order_of_activities_is_caught() -> None:
    golden = _longest()
    scheduled = [
        event.activity_task_scheduled_event_attributes
        for event in golden.history.events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    scheduled[0].activity_type.name = scheduled[-1].activity_type.name
    with pytest.raises(NondeterminismError):
        await Replayer(workflows=[], plugins=[driftloop_plugin()]).replay_workflow(golden.history)


def _longest() -> Golden:
    ours = [one for one in load(version("driftloop")) if one.workflow_type == "DriftRemediation"]
    return max(ours, key=lambda one: len(one.history.events))
