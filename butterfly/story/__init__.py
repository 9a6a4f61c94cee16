"""The demonstration: real flights from 2013, a model that meets a summer it never saw, two candidates.

Nothing here is generated: every row served is a real flight (`butterfly/data/PROVENANCE.md`).
"""
