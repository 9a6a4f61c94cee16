"""The embedded ecosystem: PERCEPTION, PLATO and SYNAPSE as small real services over HTTP.

For a newcomer's first minute, for tests, and as the contract in running form. It imports `contracts` alone,
and no part of the product knows whether it talks to these services or to a company's own.
"""
