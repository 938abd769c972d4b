"""Stored answers: their freshness, their stores, and which of several askers sends the request."""
