"""The nouns of homeostat: frozen pydantic models, no I/O, no Temporal.

Touch this folder when a fact has to cross a boundary: a process, a history, a file or a port.
Grow a contract by adding a field with a default; never rename or retype one, since running
histories still carry the old shape.
"""
