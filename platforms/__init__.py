"""The world behind ports: `ports.py` says what the loop needs, `local/` and `aws/` give it."""
