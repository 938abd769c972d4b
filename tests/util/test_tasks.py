import asyncio
import sys
from collections.abc import Callable

import pytest

from fathom_async._util.tasks import first_of, gather_all
from fathom_async.errors import QueryError


async def wait_for_ever() -> None:
    await asyncio.Event().wait()


async def fail() -> None:
    raise QueryError("one thing is wrong") from KeyError("cause")


async def test_results_come_in_the_order_of_the_work() -> None:
    async def late(number: int) -> int:
        for _ in range(5 - number):
            await asyncio.sleep(0)
        return number

    assert await gather_all(late(number) for number in range(5)) == [0, 1, 2, 3, 4]


async def test_the_first_failure_ends_the_others_and_is_raised_as_it_is() -> None:
    with pytest.raises(QueryError, match="one thing is wrong") as caught:
        await gather_all([wait_for_ever(), fail()])
    assert isinstance(caught.value.__cause__, KeyError)
    assert len(asyncio.all_tasks()) == 1


async def test_a_failure_is_not_part_of_its_own_context() -> None:
    with pytest.raises(QueryError) as caught:
        await gather_all([fail()])
    error: BaseException | None = caught.value
    while error is not None:
        assert not isinstance(error, BaseExceptionGroup)
        error = error.__context__


def start_tasks_at_once() -> None:
    if sys.version_info >= (3, 12):
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)


@pytest.mark.parametrize("prepare", [lambda: None, start_tasks_at_once], ids=["later", "at once"])
async def test_a_failure_neither_cancels_its_caller_nor_leaves_work_behind(
    prepare: Callable[[], None],
) -> None:
    prepare()
    with pytest.raises(QueryError, match="one thing is wrong"):
        await gather_all([wait_for_ever(), fail(), wait_for_ever()])
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1


def test_the_first_of_groups_in_groups() -> None:
    error = KeyError("a")
    assert first_of(ExceptionGroup("", [ExceptionGroup("", [error]), ValueError()])) is error
    assert first_of(error) is error
