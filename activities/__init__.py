"""How one step touches the world: thin, one contract in, one contract out, a port or two each.

Touch this folder when a step of a workflow needs something new from a port.
"""
