"""One file per remediation path; each file's docstring is its state machine."""
