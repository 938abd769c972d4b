"""The modules that the process loads from which others are forked."""

import importlib
import pkgutil

import fathom_async._cli

for _module in pkgutil.walk_packages(fathom_async._cli.__path__, "fathom_async._cli."):
    if _module.name != "fathom_async._cli.mcp":  # pydantic, which it loads, changes what cyclopts does
        importlib.import_module(_module.name)
for _name in (
    "support.fathom_process",
    "bulk.processes",
    "ratelimit.shared.processes",
    "cache.processes",
    "cli.forked_command",
):
    importlib.import_module(f"tests.{_name}")
