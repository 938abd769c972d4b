"""The modules that the process loads from which others are forked."""

import importlib
import pkgutil

import fathom_async._cli

for _module in pkgutil.walk_packages(fathom_async._cli.__path__, "fathom_async._cli."):
    importlib.import_module(_module.name)
for _name in (
    "support.fathom_process",
    "bulk.processes",
    "ratelimit.shared.processes",
    "cache.processes",
    "cli.forked_command",
):
    importlib.import_module(f"tests.{_name}")
