"""Keys, signed tokens and who stands behind them. To be touched when a new way to vouch for a decision comes."""
