"""The real things, started once: a Temporal server and the three embedded services."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

from butterfly.embedded import Embedded
from tests.histories.corpus import save
from tests.kit.operator import Operator, settings_for
from tests.kit.pager import Pager
from tests.kit.temporal import temporal_server
from tests.kit.world import World


@pytest.fixture(scope="session")
async def env(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WorkflowEnvironment]:
    async with temporal_server(tmp_path_factory.mktemp("temporal")) as env:
        yield env


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    with Embedded(tmp_path_factory.mktemp("butterfly"), frozenset({"acme", "globex"})) as embedded:
        yield embedded


@pytest.fixture
async def world(embedded: Embedded) -> AsyncIterator[World]:
    """A model nobody else touches; faults are healed afterwards."""
    world = World(embedded.urls)
    yield world
    await world.heal()
    await world.close()


@pytest.fixture
async def embedded_globex(embedded: Embedded) -> AsyncIterator[World]:
    """A model of the second tenant, for tests that change settings of a whole tenant."""
    world = World(embedded.urls, "globex")
    yield world
    await world.perception.put("/api/v1/config/drift", json={"autoRemediationEnabled": True})
    await world.close()


@pytest.fixture(scope="session")
def pager() -> Iterator[Pager]:
    """A real HTTP receiver of pages."""
    with Pager() as pager:
        yield pager


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-histories", type=Path, help="Keep the histories of workflow tests there.")


@pytest.fixture
async def operator(
    env: WorkflowEnvironment,
    embedded: Embedded,
    pager: Pager,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> AsyncIterator[Operator]:
    """A worker and the means to talk to what runs on it; everything is replayed when the test is over."""
    monkeypatch.chdir(tmp_path)  # reports have no machine's path in them
    operator = Operator(env, settings_for(embedded.urls, Path("reports"), pager.url))
    async with operator.worker():
        yield operator
    histories = await operator.check_histories()
    if directory := request.config.getoption("--record-histories"):
        save(directory, re.sub(r"\W+", "_", request.node.name.removeprefix("test_")).strip("_"), histories)
