"""Foreign texts in plans: people read those and say yes, so that no name may look like anything else."""


def printable(text: str) -> str:
    """Return a text with every character escaped that does not show: a line of a plan is one line."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text
    )
