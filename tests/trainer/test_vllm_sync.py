"""Weights reach vLLM, or the audit says which layers kept the old ones."""

from __future__ import annotations

import dataclasses
import importlib.util
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from cascade.errors import ConfigError, TrainingError
from cascade.trainer.heldout import Sampler as CheckpointSampler
from cascade.trainer.models import load_tokenizer
from cascade.trainer.sync import Audit, Sampler, verify_sync
from cascade.types import Message, SamplingParams
from tiny_models import random_qwen3_moe

PROBES: tuple[tuple[Message, ...], ...] = tuple(
    ({"role": "user", "content": f"What is {i} + 3?"},) for i in range(4)
)
HAS_VLLM = importlib.util.find_spec("vllm") is not None

pytestmark = pytest.mark.filterwarnings("ignore")  # vLLM's own imports warn


async def audited(sampler: Sampler, model: Any, version: str) -> dict[str, float]:
    await sampler.sync(version)
    return await verify_sync(sampler, model, PROBES, SamplingParams(), Audit(), version)


def changed(model: Any) -> None:
    """One update's worth of change to every weight."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1 + 0.05 * torch.randn(()))


async def check_audit(sampler: Sampler, stale: Sampler, model: Any) -> None:
    """The audit passes with the experts rebuilt, and names the expert layers without."""
    assert (await audited(sampler, model, "first"))["sync/max_abs"] < 1e-5
    changed(model)
    assert (await audited(sampler, model, "second"))["sync/max_abs"] < 1e-5
    [completion] = await sampler.engine.sample([PROBES[0]], SamplingParams(max_tokens=3))
    assert completion.weight_version == "second"
    changed(model)
    with pytest.raises(TrainingError) as caught:
        await audited(stale, model, "third")
    message = str(caught.value)
    assert "after the sync to weights 'third'" in message
    assert "model.layers.0.mlp (off by" in message
    assert "model.layers.1.mlp (off by" in message
    assert "self_attn" not in message


class WithoutWorkAround:
    """The same engine, synced by a sampler that does not rebuild the experts."""

    def __init__(self, sampler: Any) -> None:
        self._sampler = sampler

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sampler, name)

    async def sync(self, version: str) -> None:
        right = self._sampler._config
        self._sampler._config = dataclasses.replace(right, rebuild_experts=False)
        await self._sampler.sync(version)
        self._sampler._config = right


@pytest.mark.skipif(not HAS_VLLM, reason="runs in vLLM's own environment, see below")
async def test_the_audit_catches_stale_experts_in_process(
    model_folder: Path, tmp_path: Path
) -> None:
    """The CPU build of vLLM keeps its packed experts through a reload that reports success."""
    from cascade.trainer.samplers import VllmSampling

    model, tokenizer = random_qwen3_moe(), load_tokenizer(str(model_folder))
    sampler = await VllmSampling(enforce_eager=True, max_batch=16).open(model, tokenizer, tmp_path)
    try:
        await check_audit(sampler, WithoutWorkAround(sampler), model)
    finally:
        await sampler.aclose()


async def test_the_audit_catches_stale_experts_of_a_server(
    model_folder: Path, tmp_path: Path
) -> None:
    """A real vLLM server, reloaded from disk through its control routes."""
    from cascade.trainer.engines.remote_vllm import DiskTransfer, VllmServer
    from vllm_server import serving

    if HAS_VLLM:
        pytest.skip("started from the environment without vLLM")
    model, tokenizer = random_qwen3_moe(), load_tokenizer(str(model_folder))
    extension = "cascade.trainer.engines.vllm_worker.WorkerExtension"
    with serving(
        model_folder, "policy", tmp_path / "log", max_length=512,
        arguments=["--worker-extension-cls", extension, "--logprobs-mode", "processed_logprobs"],
    ) as url:  # fmt: skip
        server = VllmServer(url=url.removesuffix("/v1"), model="policy")
        sampler = await server.open(model, tokenizer, tmp_path)
        stale = await VllmServer(
            url=server.url, model="policy", transfer=DiskTransfer(rebuild_experts=False)
        ).open(model, tokenizer, tmp_path)
        try:
            await check_audit(sampler, stale, model)
            await check_served_checkpoints(server.url, model_folder, tmp_path)
        finally:
            await sampler.aclose()
            await stale.aclose()


async def check_served_checkpoints(url: str, folder: Path, scratch: Path) -> None:
    """The server answers from the checkpoint that was opened last, as PyTorch's engine does."""
    from cascade.trainer.engines.remote_vllm import ServedCheckpoints

    other = random_qwen3_moe()
    changed(other)
    changed(other)
    other.save_pretrained(scratch / "other")
    load_tokenizer(str(folder)).save_pretrained(scratch / "other")
    served = ServedCheckpoints(url=url, model="policy")
    params = SamplingParams(temperature=0, max_tokens=12, logprobs=True)
    said = []
    for checkpoint in (folder, scratch / "other", folder):
        answers = []
        for engine in (served.open(checkpoint), CheckpointSampler().open(checkpoint)):
            [answer] = await engine.sample([PROBES[0]], params)
            answers.append(answer.token_ids)
            await engine.aclose()
        assert answers[0] == answers[1]
        said.append(answers[0])
    assert said[0] == said[2] != said[1]
    load_tokenizer(str(folder)).save_pretrained(scratch / "bare")
    with pytest.raises(ConfigError, match="no weights"):
        served.open(scratch / "bare")


def test_the_audit_in_process_where_vllm_is_installed() -> None:
    """As vLLM pins its own torch, it has an environment of its own."""
    from vllm_server import vllm_python

    if HAS_VLLM:
        pytest.skip("vllm is installed here: the test above runs by itself")
    command = [vllm_python(), "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "1 passed" in done.stdout
