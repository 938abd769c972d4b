"""Errors of the tables that reports are copied into."""

from fathom_async.errors import FathomError


class TargetError(FathomError):
    """The target cannot be used: its disk is full or read-only, or another program has it locked."""


class TargetBusyError(TargetError):
    """Another backfill is writing into the same target; nothing was asked."""
