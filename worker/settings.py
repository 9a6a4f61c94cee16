"""Settings of a process. Addresses have the runbook's names, Temporal's are Temporal's, ours begin with DRIFTLOOP_."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from contracts.policy import RemediationPolicy
from policies.settings import PolicyError, policy_from_mapping


class Settings(BaseSettings):
    """Read from the environment. Durations are seconds."""

    model_config = SettingsConfigDict(env_prefix="DRIFTLOOP_", extra="ignore", populate_by_name=True)

    perception_url: str = Field("http://perception:8080", validation_alias=AliasChoices("PERCEPTION_URL"))
    plato_url: str = Field("http://plato:8080", validation_alias=AliasChoices("PLATO_URL"))
    synapse_url: str = Field("http://synapse:8080", validation_alias=AliasChoices("SYNAPSE_URL"))
    tenant_id: str = Field("", validation_alias=AliasChoices("TENANT_ID"))

    policy_file: Path | None = None
    """YAML: the runbook's §7.2 and §7.3 as written, ours under `driftloop:` (docs/configure.md)."""
    report_dir: Path = Path("reports")
    page_urls: Annotated[list[SecretStr], NoDecode] = []
    """Where pages go: apprise addresses, separated by whitespace. They hold tokens: never logged."""
    http_timeout: float = 10.0
    build_id: str = ""
    """Set: the worker is versioned under this build (docs/versioning.md). Empty: unversioned."""
    drain_seconds: float = 35.0
    """After SIGTERM: longer than the longest single write (30 s)."""
    log_format: str = "human"
    """`human` or `json`."""
    log_level: str = "INFO"
    gateway_token: SecretStr | None = None
    """Bearer token of alert sources. Unset: the gateway only listens on loopback."""
    otlp_endpoint: str = ""
    """OTLP/HTTP traces endpoint; empty: spans are made and dropped, context is still sent on."""

    @field_validator("page_urls", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return value.split() if isinstance(value, str) else value

    def page_channels(self) -> list[str]:
        """The apprise addresses in clear, for the one object that calls them."""
        return [url.get_secret_value() for url in self.page_urls]

    def policy(self) -> RemediationPolicy:
        """The policy in force. Raises PolicyError with the file's name and every problem in it."""
        if self.policy_file is None:
            return RemediationPolicy()
        try:
            content = yaml.safe_load(self.policy_file.read_text(encoding="utf-8"))
        except OSError as error:
            raise PolicyError(f"policy file {self.policy_file} can't be read: {error.strerror}") from error
        except yaml.YAMLError as error:
            raise PolicyError(f"policy file {self.policy_file} is not YAML: {error}") from error
        if not isinstance(content, dict):
            raise PolicyError(f"policy file {self.policy_file} must hold a mapping, not {type(content).__name__}")
        try:
            return policy_from_mapping(content)
        except PolicyError as error:
            raise PolicyError(f"policy file {self.policy_file}: {error}") from error
