"""Pure decisions: the same input gives the same answer in a test, in production and in a replay years later.

No I/O, no clock, no Temporal: time comes in as an argument. Modules here are passed through the workflow
sandbox, so this purity is what keeps workflows deterministic (held by tests/policies/test_purity.py).
"""
