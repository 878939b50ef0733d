"""The operator's command line behind `starter.py`.

Touch this folder when a verb changes: `verbs.py` declares it, its family's module does it, docs/cli.md shows it.
A verb hands back an `Answer`; `main.py` alone prints, so that `--json` and the tables can't drift apart.
"""
