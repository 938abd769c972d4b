"""Admission: how requests are kept inside the server's rate limits."""
