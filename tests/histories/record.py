"""Record the golden histories of this release: `make histories`.

The scenarios are workflow tests: they run as always, and what the server recorded is kept. A release's
histories are recorded once and never again; later releases replay them (docs/versioning.md).
"""

from __future__ import annotations

import sys
from importlib.metadata import version

import pytest

from tests.histories.corpus import ROOT

SCENARIOS = [
    "test_drift_remediation.py",
    "test_gate.py",
    "test_operators.py::test_pause_resume_advance_and_rollback_by_update_do_what_they_say",
    "test_operators.py::test_advancing_the_last_stage_promotes_on_an_operators_word",
    "test_operators.py::test_an_operators_rollback_ends_the_remediation_without_another_attempt",
    "test_operators.py::test_orders_by_signal_are_obeyed_and_a_repeated_advance_raises_traffic_once",
    "test_operators.py::test_a_signal_that_can_not_be_honoured_shows_as_refused_and_why",
    "test_canary.py",
    "test_alerts.py::test_an_alert_while_closing_queues_and_the_lock_passes_on_without_a_gap",
    "test_compensation.py::test_cancelled_at_the_gate_it_leaves_nothing_behind_and_writes_it_up",
    "test_compensation.py::test_cancelled_during_a_canary_it_rolls_back_first",
    "test_compensation.py::test_cancelled_while_synapse_is_starting_the_canary_it_waits_and_rolls_back",
    "test_compensation.py::test_when_the_canarys_owner_is_terminated_the_remediation_rolls_back_and_calls_a_human",
    "test_compensation.py::test_a_rollback_that_fails_is_tried_until_it_succeeds_while_humans_are_paged",
    "test_compensation.py::test_an_outage_longer_than_patience_pages_and_is_survived",
    "test_compensation.py::test_a_recovery_that_can_not_be_verified_ends_with_humans",
    "test_bad_input.py::test_a_model_perception_does_not_know_fails_by_name",
    "test_bad_input.py::test_a_policy_out_of_range_fails_with_every_value_and_its_range",
    "test_bad_input.py::test_an_action_that_synapse_can_not_do_fails_with_its_reason",
]


def main() -> int:
    """Run the scenarios with recording on. Refuses to record a release twice."""
    release = version("driftloop")
    directory = ROOT / release
    if directory.exists():
        print(f"{directory.relative_to(ROOT.parent.parent)} exists: a release is recorded once.", file=sys.stderr)
        print("Raise the version in pyproject.toml and run `make histories` again.", file=sys.stderr)
        return 2
    folder = ROOT.parent / "workflows"
    return pytest.main(["-q", f"--record-histories={directory}", *(f"{folder / name}" for name in SCENARIOS)])


if __name__ == "__main__":
    sys.exit(main())
