"""Alerts by rules over complete periods, each sent once; see ``docs/watch.md``."""

from fathom_async.watch._check import WatchResult, check, replay
from fathom_async.watch._judge import Alert
from fathom_async.watch._rules import Rule, load_rules
from fathom_async.watch._webhook import webhook

__all__ = ["Alert", "Rule", "WatchResult", "check", "load_rules", "replay", "webhook"]
