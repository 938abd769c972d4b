"""Concurrent work that fails with a single error."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import TypeVar, cast

T = TypeVar("T")


async def gather_all(work: Iterable[Coroutine[object, object, T]]) -> list[T]:
    """Run coroutines concurrently, and return their results in order.

    The first failure cancels the others, and is raised as is: callers deal with one error, not with a group.
    """
    todo = list(work)
    tasks: list[asyncio.Task[T]] = []
    try:
        async with asyncio.TaskGroup() as group:
            for each in todo:
                tasks.append(task := group.create_task(each))
                if task.done() and not task.cancelled() and task.exception() is not None:
                    # With `asyncio.eager_task_factory` it failed on creation, and the group has cancelled this task.
                    # That cancellation must arrive inside the group, which alone recognizes it as its own.
                    await asyncio.sleep(0)
    except BaseExceptionGroup as failures:
        for each in todo[len(tasks) :]:
            each.close()
        failure = first_of(failures)
    else:
        return [task.result() for task in tasks]
    # Raised inside the handler, its context would be the group that contains it. Such a circle cannot be pickled
    # with its traceback, as workers of a cluster do.
    raise failure


def first_of(failure: BaseException) -> BaseException:
    """Return the first error of nested groups."""
    while isinstance(failure, BaseExceptionGroup):
        failure = cast("BaseExceptionGroup[BaseException]", failure).exceptions[0]
    return failure
