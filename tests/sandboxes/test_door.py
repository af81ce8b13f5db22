"""The short way into a container: taken where it exists, closed behind the runner, never needed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker.types
import pytest

from cascade.errors import SandboxError
from cascade.sandboxes import Case, Program, Sandbox, SandboxConfig, Status
from cascade.sandboxes import docker as docker_module
from cascade.sandboxes import door as door_module
from cascade.sandboxes.docker import DockerBackend
from cascade.sandboxes.door import DOOR, Door
from cascade.sandboxes.link import Link
from cascade.sandboxes.settings import slot_config
from conftest import unavailable
from sandbox_cases.good import judge_good


@pytest.fixture
def backend() -> Iterator[DockerBackend]:
    try:
        opened = DockerBackend(SandboxConfig(workers=1, spare=False))
    except SandboxError as error:
        unavailable(str(error))
        raise
    if "://" in os.environ.get("DOCKER_HOST", "") and "unix" not in os.environ["DOCKER_HOST"]:
        unavailable("the engine is not on this machine")
    yield opened
    opened.close()


def folders() -> set[str]:
    return {path.name for path in Path(tempfile.gettempdir()).glob("cascade-door-*")}


def links_of(backend: DockerBackend, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Collects the links of the slots that are opened."""
    found: list[Any] = []
    opening = backend.open

    def noted() -> Link:
        found.append(opening())
        return found[-1]  # type: ignore[no-any-return]

    monkeypatch.setattr(backend, "open", noted)
    return found


def is_direct(link: Any) -> bool:
    """Whether the engine is not in the way: nothing of its wrapping has to be taken off."""
    return link._demultiplex is None


def test_an_engine_on_this_machine_is_not_in_the_way(
    backend: DockerBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runner calls the client, and the socket has no name any more once it has."""
    before, links = folders(), links_of(backend, monkeypatch)
    with Sandbox(backend) as box:
        assert judge_good(box).accepted
        assert [is_direct(link) for link in links] == [True]
        assert folders() == before


def test_a_program_finds_nothing_behind_the_door(backend: DockerBackend) -> None:
    """Not even with a socket of its own, which seccomp refuses it."""
    source = (
        "import os, socket\n"
        f"print(os.path.exists({DOOR!r}))\n"
        "try:\n"
        f"    socket.socket(socket.AF_UNIX).connect({DOOR!r})\n"
        "    print('somebody listens')\n"
        "except OSError as error:\n"
        "    print(type(error).__name__)\n"
        "try:\n"
        f"    os.unlink({DOOR!r})\n"
        "except OSError as error:\n"
        "    print(type(error).__name__)\n"
    )
    with Sandbox(backend) as box:
        [outcome] = box.judge(Program("python", source), [Case()], stop_early=False).outcomes
        said = outcome.stdout.decode().split()
        assert said[0] == "True", said
        assert said[1] in ("ConnectionRefusedError", "PermissionError"), said
        assert said[2] in ("OSError", "PermissionError"), said
        assert judge_good(box).accepted


@pytest.mark.parametrize(
    "obstacle", ["no such file", "no place", "no socket", "closed", "no folder"]
)
def test_without_the_door_the_engine_carries_the_stream(
    backend: DockerBackend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, obstacle: str
) -> None:
    """An engine that sees other folders, a runtime that refuses, a policy, no folder."""
    before, links = folders(), links_of(backend, monkeypatch)
    if obstacle == "no such file":
        mount = Door.mount

        def gone(self: Door) -> docker.types.Mount:
            self.close()
            return mount(self)

        monkeypatch.setattr(Door, "mount", gone)
    elif obstacle == "no socket":
        (tmp_path / "file").touch()
        file = docker.types.Mount(DOOR, str(tmp_path / "file"), type="bind", read_only=True)
        monkeypatch.setattr(Door, "mount", lambda self: file)
    elif obstacle == "no place":
        for module in (docker_module, door_module):
            monkeypatch.setattr(module, "DOOR", "/etc/passwd/door")
    elif obstacle == "closed":
        monkeypatch.setattr(docker_module, "DOOR", "/run/another-door")
    else:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("x" * 120)))
    with Sandbox(backend) as box:
        report = judge_good(box)
        assert report.accepted, report
    assert [is_direct(link) for link in links] == [False]
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert folders() == before


def test_what_a_dead_runner_said_is_reported(
    backend: DockerBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last words come over the attach stream, which nobody else listens to."""

    def broken(config: SandboxConfig, uid: int | None) -> dict[str, object]:
        return {**slot_config(config, uid), "tools": None}

    monkeypatch.setattr(docker_module, "slot_config", broken)
    link = backend.open()
    with pytest.raises(SandboxError, match="TypeError"):
        link.receive()
    link.close()


def test_a_runner_that_is_killed_costs_the_slot_and_no_verdict(
    backend: DockerBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of the socket is the end of the slot, as that of the attach stream is."""
    links = links_of(backend, monkeypatch)
    with Sandbox(backend) as box:
        assert judge_good(box).accepted
        backend.client.api.kill(links[0].place.ident)
        report = judge_good(box)
        assert report.status is Status.ACCEPTED
        assert report.retries == 1
