"""Requests the reports of a job file: complete ones one after the other, all others in one fused run."""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress

from attrs import evolve, frozen

from fathom_async import (
    ArgumentError,
    AuthenticationError,
    CachePolicy,
    ClosedError,
    Comparison,
    FathomClient,
    FathomError,
    Outcome,
    Progress,
    Report,
    StoreError,
)
from fathom_async._cli.bulk.report_spec import ReportSpec
from fathom_async._cli.progress import together
from fathom_async.reports import OnProgress, Query, Row
from fathom_async.store import ReportStore

Answer = Report[Row] | Comparison[Row]
Found = tuple[ReportSpec, Answer | FathomError]
_Each = tuple[ReportSpec, Outcome[Row]]


@frozen
class Asking:
    """Settings that all requests of a run share; it may send any number of requests if `max_requests` is None."""

    fathom: FathomClient
    keeping: CachePolicy
    is_fused: bool = True
    max_requests: int | None = None

    async def missing(
        self, reports: Sequence[ReportSpec], stores: Mapping[str, ReportStore]
    ) -> list[ReportSpec]:
        """Return the reports that the stores do not answer; sends no report."""
        kept = set[Query[Row]]()
        offline = evolve(self, max_requests=0)
        for run in offline.runs(reports, stores, lambda _: None):
            with suppress(ArgumentError):
                async with aclosing(run) as found:
                    kept.update([outcome.query async for _, outcome in found if outcome.error is None])
        return [each for each in reports if not kept.issuperset(each.named.queries)]

    async def outcomes(
        self, reports: Sequence[ReportSpec], stores: Mapping[str, ReportStore], on_progress: OnProgress
    ) -> AsyncGenerator[Found, None]:
        """Yield each report or its error, as it comes; a comparison as soon as both of its reports are there.

        An invalid token ends it, since no request would succeed.
        """
        before = latest = Progress(len(reports))

        def show(part: Progress) -> None:
            nonlocal latest
            latest = evolve(together(before, part), done=latest.done, failed=latest.failed)
            on_progress(latest)

        found: dict[str, list[Outcome[Row]]] = {}
        for run in self.runs(reports, stores, show):
            async with aclosing(run) as outcomes:
                async for wanted, outcome in outcomes:
                    if isinstance(outcome.error, AuthenticationError):
                        raise outcome.error
                    found.setdefault(wanted.named.name, []).append(outcome)
                    if len(found[wanted.named.name]) < len(wanted.named.queries):
                        continue
                    answer = _answer(wanted, found.pop(wanted.named.name))
                    failed = latest.failed + isinstance(answer, FathomError)
                    latest = evolve(latest, done=latest.done + 1, failed=failed)
                    on_progress(latest)
                    yield wanted, answer
            before = latest

    def runs(
        self, reports: Sequence[ReportSpec], stores: Mapping[str, ReportStore], show: OnProgress
    ) -> Iterator[AsyncGenerator[_Each, None]]:
        """Yield the runs of the reports, to be carried out one after the other, each with an outcome per query."""
        for place, store in stores.items():
            here = [each for each in reports if each.store == place]
            yield self._plain(here, store, show)
            yield self._complete(here, store, show)

    async def _plain(
        self, reports: Sequence[ReportSpec], store: ReportStore, on_progress: OnProgress
    ) -> AsyncGenerator[_Each, None]:
        plain = [(each, query) for each in reports if not each.job.complete for query in each.named.queries]
        run = self.fathom.reports.run(
            [query for _, query in plain],
            fuse=self.is_fused,
            store=store,
            keeping=self.keeping,
            max_requests=self._left,
            on_progress=on_progress,
        )
        async with aclosing(run) as outcomes:
            async for outcome in outcomes:
                yield plain[outcome.position][0], outcome

    async def _complete(
        self, reports: Sequence[ReportSpec], store: ReportStore, on_progress: OnProgress
    ) -> AsyncGenerator[_Each, None]:
        """Request one after the other, so that an interrupted run has whole reports."""
        complete = [(each, query) for each in reports if each.job.complete for query in each.named.queries]
        progress = Progress(len(complete), requests=len(complete))
        for wanted, query in complete:
            sent = self._sent
            seconds = self.fathom.eta(len(complete) - progress.done, lane="reports")
            on_progress(evolve(progress, seconds_left=seconds))
            try:
                report, error = (
                    await self.fathom.reports.complete(
                        query, store=store, keeping=self.keeping, max_requests=self._left
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
            yield wanted, Outcome(query, report, error)

    @property
    def _sent(self) -> int:
        return self.fathom.stats.sent.get("reports", 0)

    @property
    def _left(self) -> int | None:
        return None if self.max_requests is None else max(0, self.max_requests - self._sent)


def _answer(wanted: ReportSpec, outcomes: Sequence[Outcome[Row]]) -> Answer | FathomError:
    """Return the answer that the outcomes of a report's queries make together."""
    reports = {outcome.query: outcome.report for outcome in outcomes if outcome.report is not None}
    if len(reports) < len(wanted.named.queries):
        return next((each.error for each in outcomes if each.error is not None), FathomError("no answer"))
    first, *former = (reports[query] for query in wanted.named.queries)
    return Comparison(first, former[0], wanted.named.limit) if former else first
