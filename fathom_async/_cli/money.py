"""The column ``value`` for the eyes: people read money in a currency, where the API and all files have cents."""

from collections.abc import Sequence
from typing import Final

from attrs import evolve

from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._cli.output import Cell, Records
from fathom_async._util.checks import suggestion
from fathom_async.reports import CURRENCIES, PLAIN_UNITS

VALUE: Final = "value"
"""The metric that is in cents."""
_CODE_LENGTH = 3
_CENTS = 100


def read_currency(written: str, metrics: Sequence[str]) -> str:
    """Check the option ``--currency``, and return an ISO 4217 code or one of Fathom's own words."""
    is_code = len(written) == _CODE_LENGTH and written.isascii() and written.isalpha()
    if not is_code and written not in CURRENCIES:
        raise CommandError(
            f"--currency takes a code such as EUR, or Fathom's word for it, not {written!r}"
            f"{suggestion(written, CURRENCIES)}",
            ExitCode.USAGE,
        )
    if VALUE not in metrics:
        raise CommandError(
            f"--currency is for the metric value; add --metrics {','.join([*metrics, VALUE])}", ExitCode.USAGE
        )
    return written.upper() if is_code else written


def readable(rows: Records, currency: str | None) -> Records:
    """Return records with their values in a currency, or else labelled as cents.

    Fathom counts every currency in hundredths, those without a smaller unit too. Figures are exact to the cent up
    to tens of trillions.
    """
    if VALUE not in rows.columns or currency in PLAIN_UNITS:
        return rows
    place = rows.columns.index(VALUE)
    label = f"{VALUE} ({currency or 'cents'})"
    kinds = {label if name == VALUE else name: kind for name, kind in rows.kinds.items()}
    if currency is None:
        return evolve(rows, kinds=kinds)

    def amount_in(row: tuple[Cell, ...]) -> tuple[Cell, ...]:
        return (*row[:place], _amount(row[place]), *row[place + 1 :])

    return evolve(
        rows,
        kinds=kinds,
        rows=[amount_in(row) for row in rows.rows],
        total=rows.total and amount_in(rows.total),
    )


def _amount(cents: Cell) -> Cell:
    return cents / _CENTS if isinstance(cents, int) else cents
