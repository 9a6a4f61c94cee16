"""The process that runs workflows and activities: settings, client, wiring, telemetry, lifecycle."""
