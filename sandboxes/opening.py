"""Choose a back end and open a sandbox on it."""

from __future__ import annotations

from typing import Any

from cascade.errors import ConfigError, SandboxError
from cascade.sandboxes.pool import Backend
from cascade.sandboxes.sandbox import Sandbox
from cascade.sandboxes.settings import SandboxConfig

__all__ = ["open_sandbox"]


def open_sandbox(
    kind: str = "auto", *, config: SandboxConfig | None = None, **settings: Any
) -> Sandbox:
    """Open a sandbox; use it in a `with` block.

    Args:
        kind: "docker" (containers), "local" (namespaces of this machine, no daemon), or "auto":
            Docker where an engine with the image answers, else local.
        config: all settings at once.
        **settings: fields of `SandboxConfig`, instead of `config`: `workers`, `image`, `preload`,
            `memory_bytes`, `runtime`, `allow_weak`, …

    Raises:
        SandboxError: the back end cannot isolate or start here; the message says what to do.
        ConfigError: an unknown kind or an impossible setting.
    """
    if config is not None and settings:
        raise ConfigError(f"give config or single settings, not both: {', '.join(settings)}")
    try:
        config = config or SandboxConfig(**settings)
    except TypeError as error:
        raise ConfigError(f"open_sandbox: {error}") from None
    return Sandbox(open_backend(kind, config))


def open_backend(kind: str, config: SandboxConfig) -> Backend:
    """Open the back end of the given kind."""
    from cascade.sandboxes.docker import DockerBackend

    if kind == "docker":
        return DockerBackend(config)
    from cascade.sandboxes.local import LocalBackend

    if kind == "local":
        return LocalBackend(config)
    if kind != "auto":
        raise ConfigError(f'sandbox kind must be "docker", "local" or "auto", got {kind!r}')
    try:
        return DockerBackend(config)
    except SandboxError as docker_error:
        try:
            return LocalBackend(config)
        except SandboxError as local_error:
            raise SandboxError(f"{docker_error}\nlocal: {local_error}") from None
