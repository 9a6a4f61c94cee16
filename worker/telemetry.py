"""Logs for people and for machines, and traces: W3C context is always sent on, spans go out where OTLP is set."""

from __future__ import annotations

import logging

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from pythonjsonlogger.json import JsonFormatter
from temporalio import activity, workflow

from worker.settings import Settings

_CONTEXT = ("tenant", "model", "workflow_id", "trace_id")
_NOISY = ("httpx", "httpcore", "apprise", "urllib3", "markdown_it")


def set_up_logging(settings: Settings) -> None:
    """One handler on the root logger: JSON lines, or a line a person reads with its context behind it."""
    handler = logging.StreamHandler()
    handler.addFilter(_Context())
    if settings.log_format == "json":
        handler.setFormatter(
            JsonFormatter(
                "%(asctime)s %(levelname)s %(name)s %(message)s %(tenant)s %(model)s %(workflow_id)s %(trace_id)s"
            )
        )
    else:
        handler.setFormatter(_Human("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    # Context is in fields of the record; Temporal would append it to the text again.
    workflow.logger.workflow_info_on_message = False
    activity.logger.activity_info_on_message = False
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)


def set_up_tracing(settings: Settings, service: str) -> None:
    """A tracer provider for this process, once."""
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    if settings.otlp_endpoint:
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.otlp_endpoint)))
    trace.set_tracer_provider(provider)


class _Context(logging.Filter):
    """Every record has tenant, model, workflow id and trace id, wherever it was made."""

    def filter(self, record: logging.LogRecord) -> bool:
        temporal = getattr(record, "temporal_workflow", None) or getattr(record, "temporal_activity", None) or {}
        defaults = {"workflow_id": temporal.get("workflow_id", ""), "trace_id": _trace_id()}
        for name in _CONTEXT:
            if not hasattr(record, name):
                setattr(record, name, defaults.get(name, ""))
        return True


class _Human(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        workflow_id = getattr(record, "workflow_id", "")
        return f"{line}  [{workflow_id}]" if workflow_id else line


def _trace_id() -> str:
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else ""
