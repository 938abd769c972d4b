"""Report queries and their answers, without any I/O."""
