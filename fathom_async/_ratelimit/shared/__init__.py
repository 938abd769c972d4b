"""A window that many processes share."""
