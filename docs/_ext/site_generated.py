"""Texts of the documentation site that are made from the code, each as Markdown."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from itertools import pairwise
from pathlib import Path

from fathom_async._reports import fields
from fathom_async._reports.rows import EventRow, PageviewRow

HERE = Path(__file__).parents[1]
CODE = HERE.parent


def table(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *body]
    return "\n".join(f"| {' | '.join(cell.replace(chr(10), ' ') for cell in line)} |" for line in lines)


def constants(module: str) -> str:
    """Return a table of a module's constants that have a docstring, or nothing."""
    found = import_module(module)
    body = ast.parse(Path(str(found.__file__)).read_text("utf-8")).body
    lines: list[tuple[str, str, str]] = []
    for node, after in pairwise(body):
        match node, after:
            case (
                ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ) if name.isupper() and isinstance(value := getattr(found, name), int | float):
                lines.append((f"`{name}`", f"{value:,g}", text.replace("`", "").strip()))
            case _:
                pass
    return f"{table(('constant', 'value', 'what it is'), lines)}\n" if lines else ""


def command() -> str:
    """Return the reference of the command ``fathom``: options and examples of each command."""
    from fathom_async._cli.app import app  # noqa: PLC0415 - takes a while, and only this page needs it

    text = app.generate_docs(output_format="markdown")
    head, *parts = re.split(r"(?m)^(?=##+ fathom )", text)
    common = re.findall(r"(?m)^\* `--.*\n", head)
    bodies: list[str] = []
    for part in parts:
        text, found = part, app
        for line in common:
            text = text.replace(line, "")
        for word in part.partition("\n")[0].split()[2:]:
            found = found[word]
        bodies.append(f"{_tidied(text)}\n\n{_examples(found.help_epilogue or '')}")
    every = _tidied("".join(common))
    return f"Every command takes these options:\n\n{every}\n\n" + "\n".join(bodies)


def _tidied(text: str) -> str:
    """Return what the library writes of a command without what ``--help`` does not show either."""
    text = re.sub(r" -m \w+(?= )", "", text)  # it takes the name from the program that runs
    text = re.sub(r"(?<=[\w.]), --(?:no|empty)-[\w-]+(?=`)", "", text)
    text = re.sub(r" \*\[default: (?:False|\(\))\]\*", "", text)
    text = re.sub(r"\*\*(?:Parameters|Commands)\*\*:\n+(?=\Z|\*\*)", "", text)
    text = re.sub(r"(?m)^\*\*(\w+)\*\*:$", r"\1:", text)
    return re.sub(r"(?m)^\* ", "- ", text).rstrip()


def _examples(epilogue: str) -> str:
    lines = re.findall(r"(?m)^  +(\S.*)$", epilogue)
    return "```console\n" + "\n".join(f"$ {line}" for line in lines) + "\n```\n" if lines else ""


_VARIABLE = re.compile(r"\b(?:FATHOM|DASHBOARD|SECODA|EMMA)_[A-Z_]*[A-Z]\b")
_COMPUTED = ("FATHOM_MAX_CONNECTIONS", "FATHOM_MAX_HEADER")
"""Names that the code puts together."""
_READERS = {
    "fathom_async/_cli": "the command `fathom`",
    "fathom_async/client.py": "`FathomClient.from_env()`",
    "fathom_async/integrations": "workers of job engines",
    "examples/dashboard": "the example dashboard",
}
_FURTHER = {
    "FATHOM_MAX_HEADER": "the longest line in the header of an answer, in bytes; 8,190 by default",
    "FATHOM_MAX_CONNECTIONS": "open connections at once; by default as many as there are requests in flight",
    "FATHOM_VERBOSE": "`1` is the option `--verbose` of every command",
    "DASHBOARD_SPEED": "how fast the clock runs, where the dashboard shows made-up sites; 1 by default",
}
_ORDER = ("FATHOM_", "DASHBOARD_", "SECODA_", "EMMA_")
_DESCRIBED_IN = ("command-line.md", "deploying.md", "many-machines.md", "networks.md", "operations.md")


def variables() -> Mapping[str, list[str]]:
    """Return the environment variables that the code reads, with the names of who reads them."""
    found = {name: ["`FathomClient.from_env()`", "the command `fathom`"] for name in _COMPUTED}
    for path in sorted((*(CODE / "fathom_async").rglob("*.py"), *(CODE / "examples").rglob("*.py"))):
        for name in sorted({*_read_by(path)}):
            place = path.relative_to(CODE).as_posix()
            reader = next((told for start, told in _READERS.items() if place.startswith(start)), None)
            readers = found.setdefault(name, [])
            if reader is not None and reader not in readers:
                readers.append(reader)
    return {name: found[name] for name in sorted(found)}


def _read_by(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Constant(value=str(text)) if _VARIABLE.fullmatch(text):
                yield text
            case _:
                pass


def descriptions() -> Mapping[str, str]:
    """Return what the tables of the guides say of each environment variable, with a link to the guide."""
    told = dict(_FURTHER)
    for page in _DESCRIBED_IN:
        text = (HERE / page).read_text("utf-8") if (HERE / page).exists() else ""
        for names, what in re.findall(r"(?m)^\| (`[A-Z_`, ]+`) \| (.+) \|$", text):
            each = re.findall(r"[A-Z_]+", names)
            parts = what.split("; ") if what.count("; ") == len(each) - 1 else [what] * len(each)
            for name, part in zip(each, parts, strict=True):
                told.setdefault(name, f"{_relinked(page, part)} ([{Path(page).stem}](../{page}))")
    return told


def _relinked(page: str, what: str) -> str:
    what = re.sub(r"\]\((#[\w-]+)\)", rf"](../{page}\1)", what)
    what = re.sub(r"\]\((\.\./)?README\.md", "](../../README.md", what)
    return re.sub(r"\]\((?=[a-z-]+\.md)", "](../", what)


def settings() -> str:
    """Return a table of every environment variable that the code reads, or that a guide tells of."""
    told, read = descriptions(), variables()
    names = sorted({*told, *read}, key=lambda name: (_rank(name), name))
    lines = [(f"`{name}`", told[name], ", ".join(read.get(name, ()))) for name in names]
    return table(("variable", "what it is", "read by"), lines)


def _rank(name: str) -> int:
    return next((rank for rank, start in enumerate(_ORDER) if name.startswith(start)), len(_ORDER))


def metrics() -> str:
    """Return a table of the metrics of reports."""
    shown = {**PageviewRow.shape_, **EventRow.shape_}
    return table(
        ("metric", "of", "type", "unit", "adds up over rows"),
        [
            (
                f"`{name}`",
                "pageviews" if name in fields.PAGEVIEW_AGGREGATES else "events",
                "`float`, or None" if name in fields.RATES else "`int`, or None",
                (shown[name][1] or "a count").removesuffix(".").removeprefix("In ").replace("From", "from"),
                "yes" if name in fields.ADDITIVE_METRICS else "no",
            )
            for name in fields.METRIC_KINDS
        ],
    )


def properties() -> str:
    """Return a table of the fields that reports are grouped by and filtered on."""
    operators = {
        **dict.fromkeys(fields.TEXT_PROPERTIES, fields.OPERATORS),
        **dict.fromkeys(fields.CATEGORICAL_PROPERTIES, fields.CATEGORICAL_OPERATORS),
    }
    return table(
        ("field", "grouping", "operators of filters"),
        [
            (
                f"`{name}`",
                "yes" if name in fields.FIELD_GROUPINGS else "no",
                ", ".join(f"`{each}`" for each in operators.get(name, ())) or "none",
            )
            for name in dict.fromkeys((*fields.FIELD_GROUPINGS, *operators))
        ],
    )


def synonyms() -> str:
    """Return a table of what other services call things."""
    words: dict[str, list[str]] = {}
    for other, name in fields.SYNONYMS.items():
        words.setdefault(name, []).append(f"`{other}`")
    return table(
        ("write", "instead of"), [(f"`{name}`", ", ".join(others)) for name, others in words.items()]
    )
