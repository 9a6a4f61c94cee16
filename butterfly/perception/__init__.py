"""PERCEPTION: measures drift, keeps versions and baselines, serves models, moves canaries."""
