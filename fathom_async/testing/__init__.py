"""Test an application that uses `FathomClient`: a Fathom server in the same process, and virtual time.

Point the client at the server; the application stays as it is:

    async with FathomServer() as server:
        async with FathomClient("any-token", base_url=server.url) as fathom:
            report = await fathom.reports.aggregate(query)
    assert server.refused == 0

With pytest, the installed plugin has the fixture ``fathom_server`` and two markers:

    @pytest.mark.virtual_time  # a minute of waiting takes no time
    @pytest.mark.fathom_server(reports_throttle=LaravelWindow(10, per=60), concurrency=5)
    async def test_dashboard(fathom_server): ...

* `FathomServer` speaks the whole API over real sockets, limits as the live service does, and records each request in
  `hits`; `inject` makes requests fail with `Status`, `Disconnect`, `Truncate`, `Delay`, `Html`, `Redirect` or `Body`.
* `Dataset` holds what its reports are computed from: `Site`, `Event`, `Milestone`, `Pageview` and `Completion`, given
  one by one, or from `Dataset.synthetic` or `Dataset.from_access_log`.
* `ServerDialect(filters_ignore=frozenset({"case"}))`, as its `dialect`, says how it compares texts.
* `LaravelWindow` (as Fathom has it), `AlignedWindow`, `SlidingLog` and `TokenBucket` are its rate limits.
* `run_virtual(main())` runs a coroutine on a `VirtualTimeLoop`, whose clock jumps to the next timer.
* `ServiceServer` serves an API of your own with all that: routes of aiohttp behind limits, recorded, with faults.

The names load on first use: the pytest plugin imports this module in every test run.
"""

from fathom_async._util.lazy import public

__getattr__, __dir__, __all__ = public(__name__)
