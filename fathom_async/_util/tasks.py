"""Work side by side that fails with one error."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import TypeVar, cast

T = TypeVar("T")


async def gather_all(work: Iterable[Coroutine[object, object, T]]) -> list[T]:
    """Return the results in the order given.

    The first failure ends the others, and is raised as it is: callers deal with one error, not with a group.
    """
    todo = list(work)
    tasks: list[asyncio.Task[T]] = []
    try:
        async with asyncio.TaskGroup() as group:
            for each in todo:
                tasks.append(task := group.create_task(each))
                if task.done() and not task.cancelled() and task.exception() is not None:
                    # With `asyncio.eager_task_factory` it failed while it was made. The group has cancelled this
                    # task for that: the cancellation must arrive within the group, which alone knows it as its own.
                    await asyncio.sleep(0)
    except BaseExceptionGroup as failures:
        for each in todo[len(tasks) :]:
            each.close()
        failure = first_of(failures)
    else:
        return [task.result() for task in tasks]
    # Raised within the handler, it would have the group as its context that has it as its part: such a circle
    # cannot be pickled together with its traceback, as the workers of a cluster do.
    raise failure


def first_of(failure: BaseException) -> BaseException:
    """Return the first error of a group of groups."""
    while isinstance(failure, BaseExceptionGroup):
        failure = cast("BaseExceptionGroup[BaseException]", failure).exceptions[0]
    return failure
