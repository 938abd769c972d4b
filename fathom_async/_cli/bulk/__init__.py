"""``fathom run`` and ``fathom plan``: the reports of a job file."""
