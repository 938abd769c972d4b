"""The modules that are mutated, each with the quick tests that are to notice."""

from collections.abc import Mapping, Sequence
from typing import Final

from attrs import frozen


@frozen
class Suite:
    """A module and its tests.

    Attributes:
        module: Path of the module.
        tests: Paths of tests, which take seconds in all.
    """

    module: str
    tests: Sequence[str]

    @property
    def name(self) -> str:
        """The module's name on the command line: without the package and ``.py``."""
        return self.module.rpartition("/")[2].removesuffix(".py")


_WINDOW: Final = (
    "tests/ratelimit/test_window.py",
    "tests/ratelimit/test_window_forecast.py",
    "tests/ratelimit/test_window_rules.py",
)
_STATE: Final = ("tests/ratelimit/shared/test_state.py", "tests/ratelimit/shared/test_state_rules.py")
_FUSING: Final = (
    "tests/bulk/fusing/test_fuse.py",
    "tests/bulk/fusing/test_fuse_split.py",
)
_RULES: Final = ("tests/reports/test_implication.py", "tests/reports/test_implication_rules.py")

SUITES: Final[Mapping[str, Suite]] = {
    suite.name: suite
    for suite in (
        Suite(
            "fathom_async/_ratelimit/queue.py",
            ("tests/ratelimit/test_queue.py", "tests/ratelimit/test_queue_places.py"),
        ),
        Suite("fathom_async/_ratelimit/promise.py", ("tests/ratelimit/test_promise_rules.py",)),
        Suite("fathom_async/_ratelimit/window.py", _WINDOW),
        Suite("fathom_async/_ratelimit/shared/state.py", _STATE),
        Suite("fathom_async/_reports/implication.py", _RULES),
        Suite("fathom_async/_reports/collation.py", ("tests/reports/test_collation.py",)),
        Suite("fathom_async/_reports/patterns.py", ("tests/reports/test_patterns.py",)),
        Suite(
            "fathom_async/_bulk/fusing/fuse.py",
            (
                *_FUSING,
                "tests/bulk/fusing/test_fuse_requests.py",
                "tests/bulk/fusing/test_fuse_boxes.py",
                "tests/bulk/fusing/test_fuse_exact.py",
            ),
        ),
        Suite(
            "fathom_async/_bulk/fusing/box.py",
            ("tests/bulk/fusing/test_box_shapes.py", "tests/bulk/fusing/test_box.py", *_FUSING),
        ),
        Suite("fathom_async/_bulk/fusing/check.py", ("tests/bulk/fusing/test_check.py",)),
        Suite("fathom_async/_bulk/fusing/texts.py", ("tests/bulk/fusing/test_texts.py",)),
    )
}
