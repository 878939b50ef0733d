"""The embedded platform: it trains, serves, captures and monitors for real, on one machine with no account."""
