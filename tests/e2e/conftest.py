"""One stack of real processes for all end-to-end tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.kit.processes import RunningStack, running_stack
from tests.kit.world import World


@pytest.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningStack]:
    async with running_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture
async def model(stack: RunningStack) -> AsyncIterator[World]:
    """A model of its own on the running stack, with a good candidate beside the version in production."""
    world = World(stack.urls)
    await world.register(v2="good")
    yield world
    await world.close()
