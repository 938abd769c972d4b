"""``fathom live``: who is on the sites right now."""
