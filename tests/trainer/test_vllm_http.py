"""The toy behind vLLM's own server: what a saved toy folder must offer to outside engines."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from cascade.envs.mini import mini_task
from cascade.trainer.toy import cached_toy


@pytest.fixture(scope="module")
def vllm_server(tmp_path_factory: pytest.TempPathFactory, toy: Path) -> Any:
    from vllm_server import serving

    log = tmp_path_factory.mktemp("vllm") / "server.log"
    with serving(toy, "toy", log) as url:
        yield url


@pytest.fixture(scope="module")
def toy() -> Path:
    from vllm_server import vllm_python

    vllm_python()
    return cached_toy(show_progress=False)


def test_the_server_lists_the_toy_with_its_length(vllm_server: str) -> None:
    [model] = httpx.get(f"{vllm_server}/models").json()["data"]
    assert (model["id"], model["max_model_len"]) == ("toy", 4096)


def test_a_chat_completion_has_logprobs_that_transformers_confirms(
    vllm_server: str, toy: Path
) -> None:
    """The server applies the saved chat template, so its prompt is ours token for token."""
    import torch

    from cascade.trainer.models import load_model, load_tokenizer

    messages = list(mini_task("arithmetic", 0, 0).messages)
    request = {"model": "toy", "messages": messages, "temperature": 0, "max_tokens": 40,
               "logprobs": True, "return_token_ids": True}  # fmt: skip
    reply = httpx.post(f"{vllm_server}/chat/completions", json=request, timeout=300)
    choice = reply.raise_for_status().json()["choices"][0]
    tokenizer = load_tokenizer(str(toy))
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    prompt_ids, ids = tokenizer(prompt)["input_ids"], choice["token_ids"]
    assert choice["finish_reason"] == "stop"
    with torch.no_grad():
        logits = load_model(str(toy))(torch.tensor([[*prompt_ids, *ids]]), use_cache=False).logits
    logprobs = logits[0].log_softmax(-1)[len(prompt_ids) - 1 : -1]
    expected = logprobs.gather(-1, torch.tensor(ids)[:, None])[:, 0]
    reported = torch.tensor([entry["logprob"] for entry in choice["logprobs"]["content"]])
    assert (reported - expected).abs().max() < 2e-5
    assert (logprobs.argmax(-1) == torch.tensor(ids)).all()


def test_enable_thinking_reaches_the_template(vllm_server: str) -> None:
    counts = []
    for thinking in (True, False):
        request = {"model": "toy", "messages": [{"role": "user", "content": "What is 2 + 3?"}],
                   "max_tokens": 1, "chat_template_kwargs": {"enable_thinking": thinking},
                   "return_token_ids": True}  # fmt: skip
        reply = httpx.post(f"{vllm_server}/chat/completions", json=request, timeout=300).json()
        counts.append(reply["prompt_token_ids"])
    thinking_ids, direct_ids = counts
    assert thinking_ids[:-1] == direct_ids[:-1]
    assert thinking_ids[-1] != direct_ids[-1]


def test_cascade_eval_evaluates_the_server_on_real_aime_problems(
    vllm_server: str, data_dir: Path, tmp_path: Path
) -> None:
    """The toy solves none; what counts is that every sample is asked, judged and counted."""
    command = [
        sys.executable, "-m", "cascade.evals.cli", "--task", "aime25", "--limit", "6",
        "--samples", "2", "--max-tokens", "256", "--base-url", vllm_server, "--model", "toy",
        "--data-dir", str(data_dir), "--out", str(tmp_path / "run"),
        "--max-truncated-share", "1", "--max-no-answer-share", "1", "--max-unparsable-share", "1",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=540)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    task = report["tasks"]["aime25"]
    assert (task["task"], task["problems"], task["samples"]) == ("aime25", 6, 12)
    assert task["counts"]["fault"] == 0
    assert task["tokens"]["total"] > 0


def test_cascade_eval_evaluates_the_engine_in_process(toy: Path, tmp_path: Path) -> None:
    from vllm_server import vllm_python

    command = [
        vllm_python(), "-m", "cascade.evals.cli", "--task", "mini_number_theory", "--limit", "4",
        "--samples", "1", "--engine", "vllm", "--model", str(toy), "--out", str(tmp_path / "run"),
        "--engine-option", "enforce_eager=true", "--engine-option", "max_length=4096",
        "--max-truncated-share", "1", "--max-no-answer-share", "1", "--max-unparsable-share", "1",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=540)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    assert report["tasks"]["mini_number_theory"]["counts"]["fault"] == 0
    assert report["engine"]["vllm"]


def test_the_engine_in_process_passes_its_tests_where_vllm_is_installed() -> None:
    """As vLLM pins its own torch, it has an environment of its own."""
    from vllm_server import vllm_python

    if importlib.util.find_spec("vllm") is not None:
        pytest.skip("vllm is installed here: test_vllm_engine runs by itself")
    names = ("test_vllm_engine.py", "test_vllm_scoring.py")
    tests = [str(Path(__file__).with_name(name)) for name in names]
    command = [vllm_python(), "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert " passed" in done.stdout
