"""Bridges to other libraries, each behind an extra of its own, and charts for web pages."""
