"""A report as a page that stands alone: charts, tables, and everything they need inlined."""
