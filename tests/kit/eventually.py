"""Waiting for something to become true, instead of sleeping and hoping."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def assert_eventually(check: Callable[[], Awaitable[T]], *, within: float = 20.0, every: float = 0.05) -> T:
    """Run `check` until it neither raises AssertionError nor answers something false; then answer its value."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while True:
        try:
            value = await check()
            assert value, f"still {value!r}"
        except AssertionError:
            if loop.time() > deadline:
                raise
            await asyncio.sleep(every)
        else:
            return value
