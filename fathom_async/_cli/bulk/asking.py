"""Requests the reports of a job file: complete ones one after the other, all others in one fused run."""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress

from attrs import evolve, frozen

from fathom_async import (
    ArgumentError,
    AuthenticationError,
    CachePolicy,
    ClosedError,
    FathomClient,
    FathomError,
    Outcome,
    Progress,
    StoreError,
)
from fathom_async._cli.bulk.report_spec import ReportSpec, plain_queries
from fathom_async._cli.progress import together
from fathom_async.reports import OnProgress, Row
from fathom_async.store import ReportStore

Found = tuple[ReportSpec, Outcome[Row]]


@frozen
class Asking:
    """Settings that all requests of a run share.

    Args:
        fathom: The client.
        keeping: How long cached answers stay fresh.
        is_fused: Whether to fuse queries.
        max_requests: The most requests that the run may send; None for any number.
    """

    fathom: FathomClient
    keeping: CachePolicy
    is_fused: bool = True
    max_requests: int | None = None

    async def missing(
        self, reports: Sequence[ReportSpec], stores: Mapping[str, ReportStore]
    ) -> list[ReportSpec]:
        """Return the reports that the stores do not answer; sends no report."""
        kept = set[int]()
        offline = evolve(self, max_requests=0)
        for run in offline.runs(reports, stores, lambda _: None):
            with suppress(ArgumentError):
                async with aclosing(run) as found:
                    kept.update([id(each) async for each, outcome in found if outcome.error is None])
        return [each for each in reports if id(each) not in kept]

    async def outcomes(
        self, reports: Sequence[ReportSpec], stores: Mapping[str, ReportStore], on_progress: OnProgress
    ) -> AsyncGenerator[Found, None]:
        """Yield the outcome of each report, as it comes.

        Args:
            reports: All reports.
            stores: The stores that they name.
            on_progress: Called with the progress of all of them.

        Raises:
            AuthenticationError: The token is invalid, so no request would succeed.
            StoreError: A store cannot be used.
        """
        before = latest = Progress(len(reports))

        def show(part: Progress) -> None:
            nonlocal latest
            latest = together(before, part)
            on_progress(latest)

        for run in self.runs(reports, stores, show):
            async with aclosing(run) as found:
                async for wanted, outcome in found:
                    if isinstance(outcome.error, AuthenticationError):
                        raise outcome.error
                    yield wanted, outcome
            before = latest

    def runs(
        self, reports: Sequence[ReportSpec], stores: Mapping[str, ReportStore], show: OnProgress
    ) -> Iterator[AsyncGenerator[Found, None]]:
        """Yield the runs of the reports, to be carried out one after the other; see `outcomes`."""
        for place, store in stores.items():
            here = [each for each in reports if each.store == place]
            yield self._plain(here, store, show)
            yield self._complete(here, store, show)

    async def _plain(
        self, reports: Sequence[ReportSpec], store: ReportStore, on_progress: OnProgress
    ) -> AsyncGenerator[Found, None]:
        plain = [each for each in reports if not each.is_complete]
        run = self.fathom.reports.run(
            plain_queries(plain),
            fuse=self.is_fused,
            store=store,
            keeping=self.keeping,
            max_requests=self._left,
            on_progress=on_progress,
        )
        async with aclosing(run) as outcomes:
            async for outcome in outcomes:
                yield plain[outcome.position], outcome

    async def _complete(
        self, reports: Sequence[ReportSpec], store: ReportStore, on_progress: OnProgress
    ) -> AsyncGenerator[Found, None]:
        """Request one after the other, so that an interrupted run has whole reports."""
        complete = [each for each in reports if each.is_complete]
        progress = Progress(len(complete), requests=len(complete))
        for wanted in complete:
            sent = self._sent
            seconds = self.fathom.eta(len(complete) - progress.done, lane="reports")
            on_progress(evolve(progress, seconds_left=seconds))
            try:
                report, error = (
                    await self.fathom.reports.complete(
                        wanted.query, store=store, keeping=self.keeping, max_requests=self._left
                    ),
                    None,
                )
            except (ClosedError, StoreError):
                raise
            except FathomError as failure:
                report, error = None, failure
            spent = self._sent - sent
            progress = evolve(
                progress,
                done=progress.done + 1,
                failed=progress.failed + (error is not None),
                kept=progress.kept + (error is None and not spent),
                requests=progress.requests + spent - 1,
                answered=progress.answered + spent,
            )
            on_progress(progress)
            yield wanted, Outcome(wanted.query, report, error)

    @property
    def _sent(self) -> int:
        return self.fathom.stats.sent.get("reports", 0)

    @property
    def _left(self) -> int | None:
        return None if self.max_requests is None else max(0, self.max_requests - self._sent)
