"""Measurements: `python -m bench.NAME [--json]` prints a table, and the figures as JSON on the last line."""
