"""Settings, Temporal client, telemetry, sandbox and wiring: what the entry points share."""
