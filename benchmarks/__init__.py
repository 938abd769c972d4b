"""Benchmarks, each a comparison of contenders side by side in one run: ``python -m benchmarks [NAME …]``."""
