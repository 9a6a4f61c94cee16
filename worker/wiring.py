"""The only place that builds activities and opens and closes their clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import PollerBehaviorAutoscaling, Worker, WorkerDeploymentConfig

from activities.ecosystem import EcosystemActivities
from activities.http import Service
from activities.paging import PagingActivities
from activities.perception import PerceptionActivities
from activities.plato import PlatoActivities
from activities.reports import ReportActivities
from activities.synapse import SynapseActivities
from contracts.ids import TASK_QUEUE
from worker.settings import Settings

DEPLOYMENT_NAME = "driftloop"  # no hyphen: see contracts.ids


@asynccontextmanager
async def wired_activities(settings: Settings) -> AsyncIterator[list[Callable[..., Any]]]:
    """All activities, over one HTTP client without retries of its own: retries belong to Temporal."""
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=20)
    async with httpx.AsyncClient(timeout=settings.http_timeout, limits=limits) as client:
        perception = Service("PERCEPTION", settings.perception_url, client)
        plato = Service("PLATO", settings.plato_url, client)
        synapse = Service("SYNAPSE", settings.synapse_url, client)
        ecosystem = EcosystemActivities(perception, plato, synapse)
        canaries = PerceptionActivities(perception)
        plans = PlatoActivities(plato)
        yield [
            ecosystem.analyze,
            ecosystem.verify,
            ecosystem.settle,
            canaries.read_canary,
            canaries.move_canary,
            plans.create_plan,
            plans.move_plan,
            SynapseActivities(synapse).execute_step,
            PagingActivities(settings.page_channels()).page,
            ReportActivities(settings.report_dir).write,
        ]


def build_worker(
    client: Client, activities: list[Callable[..., Any]], settings: Settings, *, task_queue: str = TASK_QUEUE
) -> Worker:
    """The worker. With a build id it is versioned: set-up must make that build current, or it gets no tasks."""
    versioned = bool(settings.build_id)
    return Worker(
        client,
        task_queue=task_queue,
        activities=activities,
        graceful_shutdown_timeout=timedelta(seconds=settings.drain_seconds),
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
        activity_task_poller_behavior=PollerBehaviorAutoscaling(),
        # Long enough for a garbage collection, short enough that a killed worker's successor takes over soon.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
        deployment_config=WorkerDeploymentConfig(
            version=WorkerDeploymentVersion(DEPLOYMENT_NAME, settings.build_id),
            use_worker_versioning=True,
            # A remediation lives for days and is made to be continued by newer code (docs/versioning.md).
            default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE,
        )
        if versioned
        else None,
    )
