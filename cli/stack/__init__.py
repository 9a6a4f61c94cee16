"""The embedded stack: Temporal, PERCEPTION, PLATO, SYNAPSE, gateway and worker, each its own process."""
