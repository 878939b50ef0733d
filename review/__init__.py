"""The review page: what waits for people, why, and how they decide. `python -m review`

Touch this folder when a page changes. `book.py` is all that pages show of the fleet, kept fresh by `refresh.py`; `pages.py`
reads it and changes nothing; `acts.py` is the only place from which anything is told to the loop; `guard.py` stands before both.
"""
