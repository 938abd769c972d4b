"""Bytes to typed values and back; the wire's quirks live here and nowhere else."""
