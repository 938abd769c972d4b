"""Bridges to other libraries, each behind its own extra, and charts for web pages."""
