"""What taskiq workers import: ``taskiq worker tests.integrations.taskiq_broker:broker``."""

import os

from taskiq.serializers import JSONSerializer
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

from fathom_async.integrations.taskiq import FathomTasks
from tests.integrations.fleet import connect, short_lived_claims


def broker_and_tasks(at_once: int = 4) -> tuple[RedisStreamBroker, FathomTasks]:
    url = os.environ["FATHOM_STORE"]
    results = RedisAsyncResultBackend[object](url, result_ex_time=600, serializer=JSONSerializer())
    made = RedisStreamBroker(url, consumer_id="0", idle_timeout=8000, xread_count=1, xread_block=500)
    made.with_result_backend(results)
    # Time passes 20 times as fast here, so that a task runs for little more than six seconds.
    return made, FathomTasks(
        made, connect=connect, store=short_lived_claims, nudge=1.0, lost_after=15.0, at_once=at_once
    )


def broker() -> RedisStreamBroker:
    return broker_and_tasks()[0]
