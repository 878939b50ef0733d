"""The operator's command line, behind `starter.py`: one module per family of verbs."""
