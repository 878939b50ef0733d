"""The judgement: pure functions, keyword-only, time as an argument; no clock, no I/O, no Temporal.

Touch this folder when homeostat should decide differently.
"""
