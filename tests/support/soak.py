"""How much is tried: with ``SOAK=1`` (`make soak`) as much as we have ever tried, otherwise a share of it.

Both try every kind of case. The share is of random examples, and of combinations that pass the same code.
"""

import os
from typing import Final, TypeVar

T = TypeVar("T")

SOAK: Final = os.environ.get("SOAK") == "1"


def tries(usual: T, *, soak: T) -> T:
    """Return what is tried: a number of examples, or the cases themselves."""
    return soak if SOAK else usual
