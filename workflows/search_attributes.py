"""The one list of search attributes: set-up registers it, workflows upsert from it."""

from __future__ import annotations

from temporalio.common import SearchAttributeKey

TENANT = SearchAttributeKey.for_keyword("DriftTenant")
MODEL = SearchAttributeKey.for_keyword("DriftModel")
PATH = SearchAttributeKey.for_keyword("DriftPath")
PHASE = SearchAttributeKey.for_keyword("DriftPhase")
SEVERITY = SearchAttributeKey.for_float("DriftSeverity")
OUTCOME = SearchAttributeKey.for_keyword("DriftOutcome")
AWAITING = SearchAttributeKey.for_keyword("DriftAwaiting")

ALL = [TENANT, MODEL, PATH, PHASE, SEVERITY, OUTCOME, AWAITING]

# What each is called in `temporal operator search-attribute create --type`.
CLI_TYPES = {
    key.name: "Double" if key is SEVERITY else "Keyword"
    for key in (TENANT, MODEL, PATH, PHASE, SEVERITY, OUTCOME, AWAITING)
}
