"""Pages to humans through apprise, which speaks to Slack, PagerDuty, e-mail, webhooks and a hundred others."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import apprise
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.ports import PagingPort
from contracts.steps import Page, PageResult

log = logging.getLogger("driftloop.paging")


class PagingActivities(PagingPort):
    """Every page is a log line; with channels configured it is also sent to all of them."""

    def __init__(self, channel_urls: Sequence[str]) -> None:
        self._channels = apprise.Apprise()
        for number, url in enumerate(channel_urls, start=1):
            if not self._channels.add(url):
                # The address may hold a token: name its position, never its content.
                raise ValueError(f"page channel {number} is not an address apprise understands")

    @activity.defn(name="paging.page")
    async def page(self, request: Page) -> PageResult:
        log.warning(
            "PAGE %s: %s",
            request.audience,
            request.title,
            extra={
                "tenant": request.tenant,
                "model": request.model,
                "workflow_id": request.workflow_id,
                "page_key": request.key,
                "audience": request.audience,
            },
        )
        if not len(self._channels):
            return PageResult(delivered_to=["log"])
        title = f"[{request.audience} {request.channel}] {request.title}"
        if not await self._channels.async_notify(title=title, body=request.body):
            raise ApplicationError(
                f"a page to {request.audience} was not taken by every channel: {request.title}", type="PageFailed"
            )
        return PageResult(delivered_to=["log", *(server.service_name for server in self._channels)])
