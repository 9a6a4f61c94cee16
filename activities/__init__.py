"""Every side effect, one file per system called. Retries belong to Temporal: nothing here retries by itself."""
