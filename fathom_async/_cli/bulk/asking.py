"""Requests the reports of a job file: complete ones one after the other, all others in one fused run."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing

from attrs import evolve, frozen

from fathom_async import (
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
        max_requests: The most requests; a complete report counts as one. None for any number.
    """

    fathom: FathomClient
    keeping: CachePolicy
    is_fused: bool = True
    max_requests: int | None = None

    async def outcomes(
        self, reports: Sequence[ReportSpec], stores: Mapping[str, ReportStore], on_progress: OnProgress
    ) -> AsyncGenerator[Found, None]:
        """Yield the outcome of each report, as it comes.

        Args:
            reports: All reports.
            stores: The stores that they name.
            on_progress: Called with the progress of all of them.

        Raises:
            ArgumentError: The reports of a store take more than `max_requests`.
            AuthenticationError: The token is invalid, so no request would succeed.
            StoreError: A store cannot be used.
        """
        before = latest = Progress(len(reports))
        complete = sum(each.is_complete for each in reports)

        def show(part: Progress) -> None:
            nonlocal latest
            latest = together(before, part)
            on_progress(latest)

        for place, store in stores.items():
            here = [each for each in reports if each.store == place]
            left = None if self.max_requests is None else self.max_requests - complete - latest.answered
            plain = self._plain(here, store, show, None if left is None else max(left, 0))
            for run in (plain, self._complete(here, store, show)):
                async with aclosing(run) as found:
                    async for wanted, outcome in found:
                        if isinstance(outcome.error, AuthenticationError):
                            raise outcome.error
                        yield wanted, outcome
                before = latest

    async def _plain(
        self,
        reports: Sequence[ReportSpec],
        store: ReportStore,
        on_progress: OnProgress,
        max_requests: int | None,
    ) -> AsyncGenerator[Found, None]:
        plain = [each for each in reports if not each.is_complete]
        run = self.fathom.reports.run(
            plain_queries(plain),
            fuse=self.is_fused,
            store=store,
            keeping=self.keeping,
            max_requests=max_requests,
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
            sent = self.fathom.stats.sent.get("reports", 0)
            seconds = self.fathom.eta(len(complete) - progress.done, lane="reports")
            on_progress(evolve(progress, seconds_left=seconds))
            try:
                report, error = (
                    await self.fathom.reports.complete(wanted.query, store=store, keeping=self.keeping),
                    None,
                )
            except (ClosedError, StoreError):
                raise
            except FathomError as failure:
                report, error = None, failure
            spent = self.fathom.stats.sent.get("reports", 0) - sent
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
