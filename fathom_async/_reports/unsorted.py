"""The warning about a limit that keeps arbitrary rows, shown at the line that wrote the query."""

import copy
import os
import warnings
from inspect import currentframe
from pathlib import Path
from typing import Final

import attr

from fathom_async.errors import UnsortedLimitWarning

_HERE: Final = Path(__file__)
_PACKAGE: Final = f"{_HERE.parents[1]}{os.sep}"
# Between the line that wrote a query and this module lie the query itself and what makes copies of it.
_MAKERS: Final = (
    __file__,
    str(_HERE.with_name("query.py")),
    "<attrs generated ",
    f"{Path(attr.__file__).parent}{os.sep}",
    copy.__file__,
)


def warn_unsorted(limit: int, metric: str) -> None:
    """Warn the caller who wrote the query; queries that this package derives from others are no news."""
    frame, level = currentframe(), 1
    while frame is not None and frame.f_code.co_filename.startswith(_MAKERS):
        frame, level = frame.f_back, level + 1
    if frame is None or not frame.f_code.co_filename.startswith(_PACKAGE):
        warnings.warn(
            f"limit={limit} without sort_by keeps arbitrary rows, not the top ones; write sort_by='{metric}:desc'",
            UnsortedLimitWarning,
            stacklevel=level,
        )
