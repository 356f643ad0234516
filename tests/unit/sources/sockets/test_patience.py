"""Only time in which our loop ran is time in which the other side was slow."""

from __future__ import annotations

import asyncio
import time

import pytest

from tickcast.sources.sockets.patience import within


def test_work_that_is_done_in_time_gives_its_result_and_its_error() -> None:
    async def fine() -> int:
        return 7

    async def faulty() -> int:
        raise ArithmeticError

    assert 7 == asyncio.run(within(10.0, fine()))
    with pytest.raises(ArithmeticError):
        asyncio.run(within(10.0, faulty()))


def test_work_that_takes_too_long_is_cancelled() -> None:
    ends: list[str] = []

    async def slow() -> None:
        try:
            await asyncio.sleep(60.0)
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise

    with pytest.raises(TimeoutError):
        asyncio.run(within(0.05, slow()))
    assert ["cancelled"] == ends


def test_an_answer_that_came_while_we_computed_is_not_late() -> None:
    async def tale() -> int:
        loop = asyncio.get_running_loop()
        loop.call_later(0.01, time.sleep, 0.6)  # the pipeline computes for longer than the whole time allowed

        async def answered() -> int:
            await asyncio.sleep(0.3)
            return 7

        return await within(0.5, answered())

    assert 7 == asyncio.run(tale())


def test_who_waits_can_be_cancelled_and_the_work_goes_with_him() -> None:
    ends: list[str] = []

    async def slow() -> None:
        try:
            await asyncio.sleep(60.0)
        finally:
            ends.append("ended")

    async def tale() -> None:
        waiting = asyncio.create_task(within(30.0, slow()))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(tale())
    assert ["ended"] == ends
