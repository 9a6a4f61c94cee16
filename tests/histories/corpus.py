"""Golden histories on disk: what past releases recorded, as protobuf, with an index of where each came from."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import History
from temporalio.client import WorkflowHistory

ROOT = Path(__file__).parent
_INDEX = "index.json"


@dataclass(frozen=True)
class Golden:
    """One recorded run: the release that made it, the test that made it happen, the history."""

    release: str
    scenario: str
    workflow_type: str
    history: WorkflowHistory


def save(directory: Path, scenario: str, histories: list[WorkflowHistory]) -> None:
    """Add the histories of one scenario."""
    directory.mkdir(parents=True, exist_ok=True)
    index_file = directory / _INDEX
    index: dict[str, dict[str, str]] = json.loads(index_file.read_text()) if index_file.is_file() else {}
    for number, history in enumerate(histories, 1):
        events = History(events=history.events)
        _strip_stack_traces(events)
        name = f"{scenario}-{number}.pb.gz"
        # No time in the header: the same history makes the same file.
        (directory / name).write_bytes(gzip.compress(events.SerializeToString(deterministic=True), mtime=0))
        index[name] = {
            "scenario": scenario,
            "workflowId": history.workflow_id,
            "workflowType": events.events[0].workflow_execution_started_event_attributes.workflow_type.name,
        }
    index_file.write_text(json.dumps(index, indent=1, sort_keys=True) + "\n")


def releases() -> list[str]:
    """Releases with a corpus, by name."""
    return sorted(index.parent.name for index in ROOT.glob(f"*/{_INDEX}"))


def load(release: str) -> Iterator[Golden]:
    """Everything that a release recorded."""
    directory = ROOT / release
    for name, entry in json.loads((directory / _INDEX).read_text()).items():
        history = History.FromString(gzip.decompress((directory / name).read_bytes()))
        yield Golden(
            release=release,
            scenario=entry["scenario"],
            workflow_type=entry["workflowType"],
            history=WorkflowHistory(entry["workflowId"], list(history.events)),
        )


def _strip_stack_traces(message: Message) -> None:
    """Stack traces hold paths of the machine that recorded; replay does not read them."""
    if isinstance(message, Failure):
        message.stack_trace = ""
    for _, value in message.ListFields():
        for inner in _messages(value):
            _strip_stack_traces(inner)


def _messages(value: Any) -> list[Message]:
    """The messages in a field: one, a list, a map, or none."""
    if isinstance(value, Message):
        return [value]
    values = value.values() if hasattr(value, "values") else value if isinstance(value, Iterable) else []
    return [item for item in values if isinstance(item, Message)]
