"""The documentation site's pages that are made from the code, and its links to what is outside of ``docs``.

A page says where generated text goes by a comment, which a forge does not show:

- ``<!-- api: MODULE NAME… -->``: these names of a public module; without names, its docstring and whatever else it
  exports that is not exported by ``fathom_async``.
- ``<!-- theory: MODULE -->``: the docstring of a module, and its constants.
- ``<!-- generated: NAME -->``: what the function `site_generated.NAME` returns.
- ``<!-- index: WORD, … -->``: nothing, but a search for one of these words finds the place.
"""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import TypeVar, get_args

import attrs
import site_generated
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.domains.python import PythonDomain
from sphinx.domains.python._object import PyObject
from sphinx.environment import BuildEnvironment
from sphinx.util.inspect import signature, stringify_signature

from fathom_async import reports

ROOT = "fathom_async"
_MARK = re.compile(r"<!-- (?P<kind>api|theory|generated|index): (?P<words>[\w., ]+) -->")
_ABOVE = re.compile(
    r"\]\((?:\.\./)+(?P<file>README|CHANGELOG|CONTRIBUTING|SECURITY|benchmarks/RESULTS)\.md(?P<anchor>#[\w-]+)?\)"
)
_OUTSIDE = re.compile(r"\[(?P<text>[^\]]+)\]\((?:\.\./)+(?:examples|benchmarks|tests)\b[^)]*\)")
_START = {"", "#install", "#example"}
_INDEX: dict[int, dict[str, list[str]]] = {}
_LITERAL = re.compile(r"(?:~?typing\.)?Literal\[(?P<values>[^\]]+)\]")
_LONG = 6
_RESOURCE = re.compile(r"^fathom_async\._resources\.\w+\.(\w+)Resource")
_PRIVATE = re.compile(r"\bfathom_async(?:\.\w+)*?\._\w+(?:\.[a-z]\w*)*\.(?=[A-Z])")
_CODE = re.compile(r"(``[^`]+``|`[^`]+`)(?=(\w?))")


def on_site(name: str, text: str) -> str:
    """Return the text of a page as the site has it: with what is generated, and links that stay on the site."""

    def page(found: re.Match[str]) -> str:
        up = "../" * (len(PurePosixPath(name).parts) - 1)
        anchor = found["anchor"] or ""
        pages = {"README": "index" if anchor in _START else "overview", "benchmarks/RESULTS": "benchmarks"}
        return f"]({up}{pages.get(found['file'], found['file'].lower())}.md{anchor})"

    return _OUTSIDE.sub(r"\g<text>", _ABOVE.sub(page, _MARK.sub(_filled, text)))


def _filled(mark: re.Match[str]) -> str:
    if mark["kind"] == "index":
        return "\n\n".join(f"```{{index}} ! single: {word}\n```" for word in mark["words"].split(", "))
    first, *rest = mark["words"].split()
    if mark["kind"] == "generated":
        text: str = getattr(site_generated, first)()
        return text
    if mark["kind"] == "theory":
        return f"{_rst([f'.. automodule:: {first}', '   :no-index:'])}\n\n{site_generated.constants(first)}"
    module = import_module(first)
    lines = [f".. currentmodule:: {first}"] if rest else [f".. automodule:: {first}"]
    for each in rest or _own(module):
        lines += _documented(first, each, getattr(module, each))
    return _rst(lines)


def _rst(lines: Sequence[str]) -> str:
    return "\n".join(("```{eval-rst}", *lines, "```"))


def exported(module: ModuleType) -> Iterator[str]:
    """Yield the public names of a module: those of ``__all__``, or else those that it defines."""
    names = getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    for name in names:
        if not name.startswith("_") and not isinstance(getattr(module, name), TypeVar | ModuleType):
            yield name


def _own(module: ModuleType) -> list[str]:
    root = import_module(ROOT)
    others = [] if module is root else [getattr(root, name) for name in exported(root)]

    def is_own(value: object) -> bool:
        home = value.__module__ if inspect.isclass(value) or inspect.isfunction(value) else module.__name__
        is_elsewhere = home.startswith(ROOT) and home != module.__name__ and "._" not in home
        return not is_elsewhere and not any(value is each for each in others)

    return [name for name in exported(module) if is_own(getattr(module, name))]


def _documented(module: str, name: str, value: object) -> list[str]:
    if inspect.isclass(value):
        kind = "exception" if issubclass(value, BaseException) else "class"
        inherits = f"{ROOT}.service" in {base.__module__ for base in value.__mro__[1:]}
        more = ["   :inherited-members:"] if inherits else ["   :show-inheritance:"] * (kind == "exception")
        return [f".. auto{kind}:: {module}.{name}", "   :members:", *more, ""]
    if inspect.isroutine(value):
        return [f".. autofunction:: {module}.{name}", ""]
    return [f".. autodata:: {module}.{name}", "   :no-value:" if len(repr(value)) > 60 else "", ""]  # noqa: PLR2004


def in_rst(lines: list[str]) -> list[str]:
    """Return a docstring's lines with code after a colon as a block, titles as rubrics, and plurals of code."""
    text = "\n".join(lines)
    text = _CODE.sub(lambda code: code[1] + ("\\ " if code[2] else ""), text)
    text = re.sub(r"(?m)^( *)(\S.*[^:\n]):\n\n(?=\1    )", r"\1\2::\n\n", text)
    text = re.sub(r"(?m)\A(\S.*\.)\n\n(?=    )", r"\1\n\n::\n\n", text)
    text = re.sub(r"(?m)^(\S.*)\n=+$", r".. rubric:: \1", text)
    return text.split("\n")


def _read(_app: Sphinx, name: str, content: list[str]) -> None:
    content[0] = on_site(name, content[0])


def _read_included(_app: Sphinx, _path: Path, _parent: str, content: list[str]) -> None:
    content[0] = content[0].replace("](benchmarks/RESULTS.md", "](docs/benchmarks.md")


def _docstring(_app: Sphinx, what: str, _name: str, of: object, _options: object, lines: list[str]) -> None:
    is_of_its_type = what == "data" and type(of).__module__ in {"builtins", "types", "typing"} and lines != []
    words = inspect.cleandoc(type(of).__doc__ or "") if is_of_its_type else None
    lines[:] = [] if "\n".join(lines).strip() == words else in_rst(lines)


def _signature(
    _app: Sphinx, _what: str, _name: str, of: object, _options: object, given: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Return a signature with names for long lists of literals, and dots for defaults that a function makes."""
    if isinstance(of, type) and attrs.has(of) and given is not None:  # a `__new__` of its own says less
        made = signature(of.__init__, bound_method=True)
        return _short(stringify_signature(made, show_return_annotation=False)), None
    return _short(given), _short(returns)


def _short(text: str | None) -> str | None:
    if text is None:
        return None
    text = _LITERAL.sub(_named, text).replace("= NOTHING", "= ...")
    return re.sub(r"str(?: \| str)+", "str", text)


def _named(literal: re.Match[str]) -> str:
    values = re.findall(r"'([^']*)'", literal["values"])
    if len(values) < _LONG:
        return literal[0].replace("~typing.", "")
    names = [name for name in exported(reports) if get_args(getattr(reports, name)) == tuple(values)]
    return names[0] if names else "str"


def _skip(_app: Sphinx, _what: str, name: str, _of: object, *_rest: object) -> bool | None:
    """Leave out what is for libraries: ``shape_`` of rows, whose columns have all other names, and pydantic's."""
    return True if name == "model_config" or re.fullmatch(r"[a-z]\w*_", name) else None


class PublicNames(PythonDomain):
    """Python's objects, whose names in the search are those that users write: ``fathom.sites.get``."""

    def get_objects(self) -> Iterator[tuple[str, str, str, str, str, int]]:
        """Yield the objects, with such names to show."""
        for name, shown, kind, page, anchor, weight in super().get_objects():
            public = _RESOURCE.sub(lambda found: f"fathom.{found[1].lower()}", shown)
            yield name, public, kind, page, anchor, weight


def _without_private_paths(_app: Sphinx, doctree: nodes.document, name: str) -> None:
    """Show names of private modules in the reference without their path."""
    if name.startswith("reference/"):
        for node in list(doctree.findall(nodes.Text)):
            if _PRIVATE.search(node):
                node.parent.replace(node, nodes.Text(_PRIVATE.sub("", node)))


def _missing(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.Node | None:
    """Resolve a name as it is written in a docstring or an annotation: without its module, or with a private one.

    What is no name of the package stays code. A full name that does not exist is left to Sphinx, which warns.
    """
    if node.get("refdomain") != "py":
        return None
    target = str(node["reftarget"]).removesuffix("()")
    known = env.domains.python_domain.objects
    index = _index(env)
    for name in _candidates(target, str(node.get("py:class") or "")):
        if found := index.get(name):
            best = min(found, key=lambda full: (known[full].aliased, full.count("."), full))
            entry = known[best]
            uri = app.builder.get_relative_uri(str(node.get("refdoc", env.docname)), entry.docname)
            return nodes.reference("", "", content, internal=True, refuri=f"{uri}#{entry.node_id}")
    is_ours = target.startswith(f"{ROOT}.") and "<locals>" not in target
    return None if is_ours and not _exists(target) else content


def _index(env: BuildEnvironment) -> Mapping[str, Sequence[str]]:
    """Return the documented names by each of their endings; it is asked when all are known."""
    known = env.domains.python_domain.objects
    index: dict[str, list[str]] = _INDEX.setdefault(len(known), {})
    if not index:
        for full in known:
            parts = full.split(".")
            for start in range(len(parts)):
                index.setdefault(".".join(parts[start:]), []).append(full)
    return index


def _candidates(target: str, within: str) -> Iterator[str]:
    parts = target.split(".")
    for start in range(len(parts)):
        if parts[start][:1].isupper() or (parts[0] == ROOT and start == 0):
            yield ".".join(parts[start:])
    if len(parts) == 1 and re.fullmatch(r"[a-z_]+", target):
        yield f"{within}.{target}" if within else f"{ROOT}.{target}"


def _exists(target: str) -> bool:
    parts = target.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found: object = import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            found = getattr(found, part, None)
        return found is not None
    return False


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"
    app.connect("source-read", _read)
    app.connect("include-read", _read_included)
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-process-docstring", _docstring, priority=100)
    app.connect("autodoc-skip-member", _skip)
    app.connect("missing-reference", _missing)
    app.connect("doctree-resolved", _without_private_paths)
    app.add_domain(PublicNames, override=True)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
