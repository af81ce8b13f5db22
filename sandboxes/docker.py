"""Slots in hardened containers, driven over a socket or, where that fails, the attach stream."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import Any, NamedTuple

import docker
import docker.errors
import requests

from cascade.errors import SandboxError
from cascade.sandboxes.bootstrap import LOADER, OPTIONS, payload
from cascade.sandboxes.door import DOOR, Door
from cascade.sandboxes.link import Demultiplexer, Link
from cascade.sandboxes.settings import (
    ENVIRONMENT,
    MAX_PROCESSES,
    OVERHEAD_BYTES,
    SandboxConfig,
    fresh_uid,
    slot_config,
)
from cascade.sandboxes.verdicts import Isolation

__all__ = ["IMAGE", "IMAGE_VERSION", "DockerBackend", "connect", "reap"]

IMAGE_VERSION = "2"
"""Changes when the client needs something new of the image."""
IMAGE = f"cascade-sandbox:{IMAGE_VERSION}"
LABEL = "cascade.sandbox"

_ENGINE_HELP = (
    "install one (Debian: apt-get install docker.io; other systems: docs.docker.com/engine), "
    'set DOCKER_HOST, or use open_sandbox("local"), which needs no Docker'
)


def connect() -> Any:
    """Connect to the Docker engine that DOCKER_HOST, or the default socket, names.

    Raises:
        SandboxError: no engine answers, or this user may not use it; says what to do.
    """
    client = None
    where = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    try:
        _knock(where)
        client = docker.from_env(timeout=60, max_pool_size=64)
        client.ping()
    except PermissionError:
        raise SandboxError(
            f"no permission on the Docker socket {where}: add this user to the group "
            '"docker", or use open_sandbox("local"), which needs no Docker'
        ) from None
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError):
        if client is not None:
            client.close()
        raise SandboxError(f"no Docker engine answers at {where}: {_ENGINE_HELP}") from None
    return client


def _knock(where: str) -> None:
    """Raise OSError where a local socket takes no caller: the SDK would leave its own end open."""
    if where.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(60)
            sock.connect(where.removeprefix("unix://"))


class Owner(NamedTuple):
    """The process that a container belongs to, told apart from a later one of the same number."""

    boot: str
    namespace: str
    pid: int
    started: str

    @classmethod
    def current(cls) -> Owner:
        """This process."""
        pid = os.getpid()
        return cls(_read("/proc/sys/kernel/random/boot_id"), _namespace(), pid, _started(pid))

    def is_gone(self) -> bool:
        """Whether it certainly lives no more; False for processes that cannot be seen from here."""
        here = Owner.current()
        if (self.boot, self.namespace) != (here.boot, here.namespace):
            return False
        return _started(self.pid) != self.started

    def __str__(self) -> str:
        return "/".join(map(str, self))

    @classmethod
    def parse(cls, text: str) -> Owner | None:
        """Read a label."""
        parts = text.split("/")
        if len(parts) != 4 or not parts[2].isdigit():
            return None
        return cls(parts[0], parts[1], int(parts[2]), parts[3])


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Start time of a process, in clock ticks since boot; empty if there is none."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 else ""


def reap(client: Any) -> int:
    """Remove containers whose owner has died without removing them; return how many."""
    count = 0
    for summary in client.api.containers(all=True, filters={"label": LABEL}):
        owner = Owner.parse(summary["Labels"].get(LABEL, ""))
        if owner is not None and owner.is_gone():
            with contextlib.suppress(docker.errors.APIError):
                client.api.remove_container(summary["Id"], force=True)
                count += 1
    return count


class _Container:
    """One container as the place of a runner."""

    def __init__(self, client: Any, ident: str) -> None:
        self._api = client.api
        self.ident = ident
        self._response: Any = None
        self._unheard: socket.socket | None = None

    def hold(self, response: Any) -> None:
        """Keep the attach response alive: collecting it would close the socket."""
        self._response = response

    def leave(self, attached: socket.socket) -> None:
        """Listen to the attach stream no more, unless there is something to diagnose."""
        self._unheard = attached

    def destroy(self) -> None:
        """Remove the container; its end of the stream closing has usually done so."""
        with contextlib.suppress(
            docker.errors.APIError, requests.exceptions.RequestException, OSError
        ):
            self._api.remove_container(self.ident, force=True)
        # The HTTP response first: with its stream closed under it, its own end would be an error.
        for part in (getattr(self._response, "_response", None), self._response):
            if part is not None:
                with contextlib.suppress(ValueError, OSError):
                    part.close()
        if self._unheard is not None:
            self._unheard.close()
        self._response = self._unheard = None

    def diagnose(self) -> str:
        """Say what the engine knows."""
        try:
            state = self._api.inspect_container(self.ident)["State"]
        except docker.errors.NotFound:
            return f"container {self.ident[:12]} is gone"
        except (docker.errors.APIError, requests.exceptions.RequestException, OSError) as error:
            return f"the Docker engine does not answer: {type(error).__name__}"
        oom = ", out of memory" if state.get("OOMKilled") else ""
        text = f"container {self.ident[:12]} {state['Status']}, exit {state['ExitCode']}{oom}"
        return text + self._last_words()

    def _last_words(self) -> str:
        stream = Demultiplexer()
        with contextlib.suppress(OSError):
            while self._unheard is not None and (data := self._unheard.recv(1 << 16)):
                stream.feed(data)
        said = stream.stderr.decode(errors="replace").strip()
        return f"; it said: {said}" if said else ""


class DockerBackend:
    """Opens slots in containers of one image.

    Raises:
        SandboxError: no engine, no permission, or no usable image.
    """

    name = "docker"

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.client = connect()
        self.image = config.image or IMAGE
        self._owner = str(Owner.current())
        self._doors = self.client.api.base_url == "http+docker://localhost" and not config.runtime
        """Whether a container may call this process: it is on this machine, and no gVisor."""
        try:
            self.versions = self._check_image()
            reap(self.client)
        except BaseException as error:
            self.client.close()
            if isinstance(error, docker.errors.APIError | requests.exceptions.RequestException):
                raise SandboxError(f"the Docker engine failed: {error}") from error
            raise

    def _check_image(self) -> dict[str, str]:
        try:
            info = self.client.api.inspect_image(self.image)
        except docker.errors.ImageNotFound:
            raise SandboxError(
                f"the Docker engine has no image {self.image!r}: run `cascade-sandbox build`"
            ) from None
        labels = info["Config"].get("Labels") or {}
        version = labels.get("cascade.image")
        if self.config.image is None and version != IMAGE_VERSION:
            raise SandboxError(
                f"image {self.image!r} has version {version!r}, this Cascade needs "
                f"{IMAGE_VERSION!r}: run `cascade-sandbox build`"
            )
        prefix = "cascade.version."
        versions = {
            key.removeprefix(prefix): value
            for key, value in labels.items()
            if key.startswith(prefix)
        }
        return {**versions, "image": f"{self.image}@{info['Id'][7:19]}"}

    def isolation(self, hello: dict[str, Any]) -> Isolation:
        """Name what stands between a program and the machine."""
        gvisor = self.config.runtime == "runsc"
        features = ["pid", "net", "mount", "ipc", "uts", "uid", "read-only root", "capabilities"]
        features += ["cgroup"] if hello["meter"].startswith("cgroup") else []
        features += ["seccomp"] if hello["seccomp"] else []
        return Isolation("container+gvisor" if gvisor else "container", tuple(features))

    def open(self) -> Link:
        """Start a container and its runner.

        Raises:
            SandboxError: the engine refused.
        """
        uid = fresh_uid()
        door = self._door()
        try:
            try:
                return self._open(uid, door)
            except docker.errors.APIError as error:
                if door is None or not door.is_named(str(error)):
                    raise
                self._doors = False  # another machine's engine, or a runtime that takes no socket
                return self._open(uid, None)
        except (docker.errors.APIError, requests.exceptions.RequestException, OSError) as error:
            raise SandboxError(f"the Docker engine cannot start a slot: {error}") from error
        finally:
            if door is not None:
                door.close()

    def _door(self) -> Door | None:
        try:
            return Door() if self._doors else None
        except OSError:  # no folder to be had, or its path is too long for a socket
            self._doors = False
            return None

    def _open(self, uid: int, door: Door | None) -> Link:
        api = self.client.api
        created = api.create_container(
            self.image,
            command=["python3", *OPTIONS, "-c", LOADER],
            entrypoint=[],
            user="0:0",
            working_dir="/",
            stdin_open=True,
            environment=ENVIRONMENT,
            network_disabled=True,
            labels={LABEL: self._owner},
            host_config=self._host_config(uid, [] if door is None else [door.mount()]),
        )
        container = _Container(self.client, created["Id"])
        sock: socket.socket | None = None
        try:
            response = api.attach_socket(
                created["Id"], params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            )
            container.hold(response)
            sock = getattr(response, "_sock", response)
            api.start(created["Id"])
            link = Link(sock, container, Demultiplexer(), self.config.silence_seconds)
            config = slot_config(self.config, uid)
            if door is not None:
                config["door"] = DOOR
            link.send_raw(payload("boot", config, []))
            if door is not None and link.is_called(door.sock):
                container.leave(sock)
                link = Link(door.admit(), container, None, self.config.silence_seconds)
        except BaseException:
            if sock is not None:
                sock.close()
            container.destroy()
            raise
        return link

    def _host_config(self, uid: int, mounts: list[docker.types.Mount]) -> dict[str, Any]:
        config = self.config
        memory = config.memory_bytes + OVERHEAD_BYTES
        box = f"size={config.disk_bytes},nr_inodes={config.inodes},mode=0755,uid={uid},gid={uid}"
        result: dict[str, Any] = self.client.api.create_host_config(
            network_mode="none",
            read_only=True,
            cap_drop=["ALL"],
            cap_add=["SETUID", "SETGID", "KILL"],
            security_opt=["no-new-privileges"],
            mem_limit=memory,
            memswap_limit=memory,
            pids_limit=MAX_PROCESSES + 64,
            tmpfs={
                "/tmp": f"exec,nosuid,nodev,{box}",
                "/cascade": f"exec,nosuid,nodev,mode=0755,size={config.store_bytes + (8 << 20)}",
            },
            shm_size=16 << 20,
            ulimits=[{"Name": "core", "Soft": 0, "Hard": 0}],
            sysctls={
                "kernel.shmmni": "0",
                "kernel.msgmni": "0",
                "kernel.sem": "0 0 0 0",
                "fs.mqueue.queues_max": "0",
            },
            log_config={"Type": "none", "Config": {}},
            auto_remove=True,
            ipc_mode="private",
            mounts=mounts,
            runtime=config.runtime,
        )
        return result

    def close(self) -> None:
        """Close the connection to the engine."""
        self.client.close()
