"""What happens in which order; deterministic. Time-outs and retries live in `options.py`.

Touch this folder when the order of things changes, and then record or patch: running histories replay on your edit.
"""
