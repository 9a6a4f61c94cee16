"""PLATO: turns what PERCEPTION measured into a remediation plan."""
