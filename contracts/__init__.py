"""What crosses a wire or sits in a history: frozen pydantic models that import nothing of ours.

Models here are replayed years later, so they stay permissive: a new field needs a default, and no
constraint is ever tightened (docs/versioning.md). Business checks live in `policies`.
"""
