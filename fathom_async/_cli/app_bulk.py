"""Registers the commands of many requests: their modules are imported when they run."""

from cyclopts import App


def register(app: App) -> None:
    """Add the commands to the application."""
    app.command(
        "fathom_async._cli.live.command:live",
        name="live",
        help="Watch who is on your sites right now.",
        help_epilogue="""\
Examples:

  fathom live
  fathom live CDBUGS DAFFYD --every 120
  fathom live CDBUGS --rounds 1 --format jsonl | jq .visitors

Ctrl-C ends it. Each refresh costs a request and a pageview for each site; at most --share of the rate limit is
spent, so that many sites are refreshed less often than asked.""",
    )
    app.command(
        "fathom_async._cli.bulk.command:run",
        name="run",
        help="Make the reports of a job file.",
        help_epilogue="""\
Examples:

  fathom run jobs.toml
  fathom run jobs.toml --dataset all.parquet
  fathom run jobs.toml --dry-run

Exit codes: 0 all reports were made, 5 some failed, 130 interrupted; after 5 and 130 the same command goes on.""",
    )
    app.command(
        "fathom_async._cli.bulk.command:plan",
        name="plan",
        help="Show what a job file would send and cost; nothing is sent.",
        help_epilogue="Examples:\n\n  fathom plan jobs.toml\n  fathom plan jobs.toml --format json",
    )
    app.command(
        "fathom_async._cli.backfill:backfill",
        name="backfill",
        help="Bring a table up to date with a report, period by period.",
        help_epilogue="""\
Examples:

  fathom backfill CDBUGS --target duckdb:stats.duckdb#pages --by pathname \\
    --since 2026-01-01
  fathom backfill CDBUGS DAFFYD --target parquet:visits --metrics visits \\
    --per month --since 2024-01-01
  fathom backfill CDBUGS --event purchase --target sqlite:stats.db#sales \\
    --since 2026-01-01

Started again, it asks only for periods that are new or may have changed: put it into cron.""",
    )
    app.command(
        "fathom_async._cli.budget:budget",
        name="budget",
        help="Show what is left of the rate limits that programs share by FATHOM_BUDGET.",
        help_epilogue="""\
Examples:

  FATHOM_BUDGET=file:///var/run/fathom.budget fathom budget
  fathom budget --format json

Nothing is sent and nothing is spent.""",
    )
    app.command(
        "fathom_async._cli.serve:serve",
        name="serve",
        help="Serve the Fathom API on this machine, for trying things out.",
        help_epilogue="""\
Examples:

  fathom serve
  fathom serve --port 8080 --access-log access.log.gz --no-limits

Then, in another terminal: FATHOM_BASE_URL=http://127.0.0.1:8080/v1 FATHOM_API_TOKEN=any fathom sites list""",
    )
