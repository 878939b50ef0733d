"""Rows, datasets and models as every platform handles them: queries in DuckDB, fits, artifacts, requests and answers."""
