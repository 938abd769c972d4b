"""Examples in help texts."""

import shlex

import pytest

from fathom_async._cli.formatting import examples

LINES = (
    "fathom live",
    "fathom report CDBUGS --by pathname --where 'pathname matching ^/blog' --compare previous",
    "fathom sync secoda CDBUGS --remove --apply --integration cf103b47-8576-4467-ad34-384cd523abd9",
    'eval "$(fathom completion bash)"',
)


@pytest.mark.parametrize("columns", [40, 80, 160])
def test_an_example_is_broken_as_a_shell_reads_it(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = examples(*LINES, more="And more.").splitlines()
    assert max(map(len, shown)) <= columns
    assert (shown[:2], shown[-2:]) == (["Examples:", ""], ["", "And more."])
    commands = "\n".join(shown[2:-2]).replace("\\\n", "").splitlines()
    assert [shlex.split(each) for each in commands] == [shlex.split(each) for each in LINES]
