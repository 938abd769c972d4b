"""Many reports at once: fewer requests for the same answers, kept and resumable."""
