"""What the answers tell about an account's rate plan, where nobody has said which it is.

1. Until an answer shows another plan, the classic one applies: its figures are the smaller ones.
2. An answer to a report **shows** an hourly plan over all endpoints if it names a limit from `LEAST_HOURLY` to
   `MOST_HOURLY`, of which `PROOF` or more remain, and not more than all. Servers name the limit of which least
   remains, and of ten reports a minute nine remain at the most. A smaller figure is about the lane's own window.
3. A learned plan has the figure that was shown, an hour, and `INCLUDED` requests at once, as every plan includes.
4. An answer **contradicts** a learned plan if it names any other limit, since all endpoints share the one. After
   `CONTRADICTIONS` the plan is given up for the classic one; the first time for the hourly one that they show, if so.
5. The first plan takes one answer that shows it. Each time one was given up it takes `PATIENCE` times as many. So a
   server that contradicts itself is not followed for ever, and neither wrong headers nor an old plan last.
6. What another process of the budget has found is believed as an answer is.
7. An answer of another endpoint that names neither the classic limit nor one below `LEAST_HOURLY` is a **hint**: no
   more than `INCLUDED` requests at once are sent at first, as on an hourly plan. It shows nothing more.
8. A plan that is given is never replaced; nothing here is asked then.

Pure functions of values.
"""

from attrs import evolve, frozen

from fathom_async._ratelimit.plan import RatePlan

LEAST_HOURLY = 600
"""The smallest hourly limit that any plan includes (rule 2)."""

MOST_HOURLY = 100_000
"""More than any plan includes (rule 2)."""

PROOF = 10
"""How many remaining requests no classic limit of reports would show (rule 2)."""

INCLUDED = 5
"""Requests in flight at once that every plan includes (rule 3)."""

CONTRADICTIONS = 2
"""How many answers have to contradict a plan (rule 4)."""

PATIENCE = 4
"""How many times as many answers it takes to learn a plan after one was given up (rule 5)."""

_REPORTS = "reports"


@frozen
class LearnedPlan:
    """What is known of the plan: requests an hour over all endpoints, None for the classic plan.

    `words` counts the answers in favour of another plan since one was `given_up`; `shown` is the limit of the last
    one.
    """

    hourly: int | None = None
    given_up: int = 0
    words: int = 0
    shown: int | None = None


def learn(known: LearnedPlan, endpoint: str, limit: int, remaining: int | None) -> LearnedPlan:
    """Return what is known after an answer of an endpoint, ``crud`` or ``reports``, that named a limit."""
    is_report = endpoint == _REPORTS
    is_shown = is_report and LEAST_HOURLY <= limit <= MOST_HOURLY and PROOF <= (remaining or 0) <= limit
    if limit == known.hourly or (known.hourly is None and not is_shown):
        return known
    words = known.words + 1
    shown = limit if is_shown else known.shown
    if known.hourly is None:
        if words < PATIENCE**known.given_up:  # rule 5
            return evolve(known, words=words)
        return LearnedPlan(limit, known.given_up)
    if words < CONTRADICTIONS:  # rule 4
        return evolve(known, words=words, shown=shown)
    is_other = known.given_up == 0 and shown == limit
    return LearnedPlan(limit if is_other else None, known.given_up + 1)


def follow(known: LearnedPlan, requests: int) -> LearnedPlan:
    """Return what is known after another process found an hourly limit (rule 6)."""
    return known if requests == known.hourly else LearnedPlan(requests, known.given_up)


def is_hint(limit: int) -> bool:
    """Whether an answer to anything but a report that names this limit hints at an hourly plan (rule 7)."""
    return LEAST_HOURLY <= limit <= MOST_HOURLY and limit != RatePlan.classic().crud.requests
