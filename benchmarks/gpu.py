"""A Mixture-of-Experts of 0.7 B parameters trained from random weights for a few steps on a GPU.

    PYTHONPATH=src python benchmarks/gpu.py                  on a CUDA machine with torch 2.11+
    PYTHONPATH=src python benchmarks/gpu.py --device cpu --tiny     the same code, anywhere

Self-contained: random weights, random prompts, no download, nothing installed but torch,
transformers and (if there) vLLM. Printed: tokens a second of sampling and of the update, the share
of the card's peak rate that forward and backward reach (MFU; 6 operations a parameter and token,
8 with recomputation, plus attention), peak memory beside `cascade-train plan`'s prediction, and the
seconds of a weight sync.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import platform
import random
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from cascade.trainer.batch import TrainSample
from cascade.trainer.losses import Grpo
from cascade.trainer.optimizer import OptimizerConfig
from cascade.trainer.plan import DEVICES, ModelFacts, model_facts, update_memory
from cascade.trainer.policy import Policy, PolicyConfig
from cascade.trainer.samplers import TorchSampling, VllmSampling
from cascade.trainer.samples import Sample
from cascade.types import Completion, SamplingParams

CARDS = {"H200": "h200", "H100": "h100-80gb", "B200": "b200", "A100": "a100-80gb"}
"""Part of a card's name -> its entry in `plan.DEVICES`."""


def model_config(tiny: bool) -> Any:
    """Qwen3-MoE: 0.7 B parameters, 0.15 B active a token; or a tiny one."""
    sizes: dict[str, int] = {
        "vocab_size": 32_768, "hidden_size": 1024, "num_hidden_layers": 16,
        "num_attention_heads": 16, "num_key_value_heads": 4, "head_dim": 64, "num_experts": 32,
        "num_experts_per_tok": 4, "moe_intermediate_size": 384, "max_position_embeddings": 4096,
    }  # fmt: skip
    if tiny:
        sizes |= {
            "vocab_size": 1024, "hidden_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "num_experts": 8,
            "moe_intermediate_size": 32,
        }  # fmt: skip
    return transformers.Qwen3MoeConfig(
        **sizes, intermediate_size=sizes["moe_intermediate_size"], norm_topk_prob=True,
        eos_token_id=1, pad_token_id=2, bos_token_id=None,
    )  # fmt: skip


def word_tokenizer(vocabulary: int) -> Any:
    """Build a tokenizer with one token for each of the words w0, w1, … ."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    core = Tokenizer(models.WordLevel({f"w{i}": i for i in range(vocabulary)}, unk_token="w0"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token="w1",
        pad_token="w2",
        chat_template="{% for m in messages %}{{ m['content'] }}{% endfor %}",
    )


def trained_tokens(completions: list[Completion], group_size: int) -> list[TrainSample]:
    """Turn samples into a batch with made-up advantages: speed does not depend on them."""
    rng = np.random.default_rng(0)
    batch = []
    for i, completion in enumerate(completions):
        prompt, drawn = completion.prompt_token_ids or (), completion.token_ids or ()
        sampled = np.array([False] * len(prompt) + [True] * len(drawn))
        logprobs = np.array([0.0] * len(prompt) + list(completion.logprobs or ()), np.float32)
        sample = Sample(
            np.array([*prompt, *drawn]), sampled, logprobs, i, i // group_size, "random", 0.0
        )
        batch.append(TrainSample(sample, advantage=float(rng.normal())))
    return batch


class Meter:
    """Wall time with the device's work included, and the device's peak memory."""

    def __init__(self, device: str) -> None:
        self.cuda = device.startswith("cuda")

    def now(self) -> float:
        """Return the time once the device is done."""
        if self.cuda:
            torch.cuda.synchronize()
        return time.perf_counter()

    def forget_peak(self) -> None:
        """Begin to measure memory."""
        if self.cuda:
            torch.cuda.reset_peak_memory_stats()

    def peak_bytes(self) -> float | None:
        """Largest sum of tensors since then; None where it cannot be told."""
        return float(torch.cuda.max_memory_allocated()) if self.cuda else None


async def run(args: argparse.Namespace) -> None:
    """Sample, update and sync a few times; print."""
    config, tokenizer = model_config(args.tiny), None
    tokenizer = word_tokenizer(config.vocab_size)
    meter = Meter(args.device)
    torch.manual_seed(0)
    dtype = torch.bfloat16 if meter.cuda else torch.float32
    facts = model_facts(config)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=dtype).to(args.device)
    policy_config = PolicyConfig(
        micro_batch_tokens=args.micro_batch_tokens,
        activation_checkpointing=args.checkpointing,
    )
    policy = Policy(model, policy_config, OptimizerConfig(peak_learning_rate=1e-5))
    choice: Any = VllmSampling() if args.engine == "vllm" else TorchSampling(max_batch=args.samples)
    print_machine(args, facts)
    times: dict[str, list[float]] = {"sync": [], "rollout": [], "update": []}
    counts: list[tuple[int, int]] = []
    with tempfile.TemporaryDirectory() as folder:
        began = meter.now()
        sampler = await choice.open(model, tokenizer, Path(folder))
        print(f"engine {args.engine} opened in {meter.now() - began:.1f} s")
        try:
            for step in range(args.steps):
                batch = await one_step(args, sampler, policy, meter, times, step)
                tokens = sum(len(item.sample.token_ids) for item in batch)
                counts.append((tokens, sum(item.sample.num_sampled for item in batch)))
        finally:
            await sampler.aclose()
    print_results(args, facts, times, counts, meter)


async def one_step(
    args: argparse.Namespace, sampler: Any, policy: Policy, meter: Meter,
    times: dict[str, list[float]], step: int,
) -> list[TrainSample]:  # fmt: skip
    """Sync, sample a batch, update; note the seconds."""
    marks = [meter.now()]
    await sampler.sync(f"step-{step}")
    marks.append(meter.now())
    rng = random.Random(step)
    prompts = [
        " ".join(f"w{rng.randrange(3, args.words)}" for _ in range(args.prompt_tokens))
        for _ in range(args.samples // args.group_size)
    ]
    params = SamplingParams(
        max_tokens=args.tokens, logprobs=True, seed=step, extra={"ignore_eos": True}
    )
    asked: list[Any] = [
        ({"role": "user", "content": text},) for text in prompts for _ in range(args.group_size)
    ]
    completions = await sampler.engine.sample(asked, params)
    await sampler.rest()
    marks.append(meter.now())
    batch = trained_tokens(completions, args.group_size)
    meter.forget_peak()
    told = policy.update(batch, Grpo())
    marks.append(meter.now())
    for name, start, end in zip(times, marks, marks[1:], strict=False):
        times[name].append(end - start)
    print(
        f"  step {step}: loss {told['loss']:+.4f}, mismatch k3 {told['mismatch/k3']:.2e}, "
        + ", ".join(f"{name} {values[-1]:.2f} s" for name, values in times.items())
    )
    return batch


def print_machine(args: argparse.Namespace, facts: ModelFacts) -> None:
    """Say where and on what this runs."""
    cuda = args.device.startswith("cuda")
    name = torch.cuda.get_device_name() if cuda else platform.processor() or "CPU"
    vllm = importlib.util.find_spec("vllm") is not None
    print(f"{time.strftime('%Y-%m-%d')}, {name}, torch {torch.__version__}")
    print(f"transformers {transformers.__version__}, vLLM {'found' if vllm else 'not installed'}")
    print(
        f"{facts.parameters / 1e6:,.1f} M weights, {facts.active_parameters / 1e6:,.1f} M active, "
        f"{args.samples} samples a step of {args.prompt_tokens} + {args.tokens} tokens"
    )


def print_results(
    args: argparse.Namespace, facts: ModelFacts, times: dict[str, list[float]],
    counts: list[tuple[int, int]], meter: Meter,
) -> None:  # fmt: skip
    """Print medians without the first step, which compiles and allocates."""
    median = {name: statistics.median(values[1:] or values) for name, values in times.items()}
    tokens, sampled = counts[-1]
    print(f"\nsampling: {sampled / median['rollout']:,.0f} tokens a second ({args.engine})")
    print(f"update: {tokens / median['update']:,.0f} tokens a second")
    print(f"weight sync: {median['sync']:.3f} s")
    card = card_of(args.device)
    passes = 4 if args.checkpointing else 3
    attention = facts.attention_flops_per_token * (args.prompt_tokens + args.tokens) / 2
    flops = passes * tokens * (2.0 * facts.active_parameters + attention)
    rate = flops / median["update"]
    if card is None:
        print(f"forward and backward: {rate / 1e12:.3f} TFLOP/s (peak rate of this device unknown)")
    else:
        share = rate / DEVICES[card].flops
        print(f"forward and backward: {rate / 1e12:.1f} TFLOP/s, MFU {share:.1%} of {card}")
    predicted = update_memory(
        facts, tokens=min(args.micro_batch_tokens, tokens), sampled_tokens=sampled,
        dtype="bfloat16" if meter.cuda else "float32", checkpointing=args.checkpointing,
        chunk_bytes=256 << 20 if meter.cuda else 8 << 20,
    )  # fmt: skip
    wanted = sum(predicted.values())
    peak = meter.peak_bytes()
    if peak is None:
        print(f"peak memory: not measured on the CPU; plan says {wanted / 1e9:.2f} GB")
    else:
        print(
            f"peak memory: {peak / 1e9:.2f} GB, plan says {wanted / 1e9:.2f} ({wanted / peak:.0%})"
        )


def card_of(device: str) -> str | None:
    """Return the entry of `plan.DEVICES` for this machine's card, if it has one."""
    if not device.startswith("cuda"):
        return None
    name = torch.cuda.get_device_name()
    return next((entry for part, entry in CARDS.items() if part in name), None)


def main() -> None:
    """Parse arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--tiny", action="store_true", help="a model for trying the script")
    parser.add_argument("--engine", choices=("torch", "vllm"), help="default: vLLM if it is there")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--samples", type=int, help="a step (default 256; 16 with --tiny)")
    parser.add_argument("--group-size", type=int, default=8)
    parser.add_argument("--tokens", type=int, help="of a sample (default 512; 32 with --tiny)")
    parser.add_argument("--prompt-tokens", type=int, default=128)
    parser.add_argument("--micro-batch-tokens", type=int, default=32_768)
    parser.add_argument("--checkpointing", action="store_true", help="of activations")
    args = parser.parse_args()
    args.samples = args.samples or (16 if args.tiny else 256)
    args.tokens = args.tokens or (32 if args.tiny else 512)
    args.prompt_tokens = min(args.prompt_tokens, 16) if args.tiny else args.prompt_tokens
    args.words = 1000 if args.tiny else 30_000
    if args.engine is None:
        found = importlib.util.find_spec("vllm") is not None and args.device.startswith("cuda")
        args.engine = "vllm" if found else "torch"
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        sys.exit(f"--device {args.device}: torch finds no CUDA device; try --device cpu --tiny")
    warnings.simplefilter("ignore")
    asyncio.run(run(args))


if __name__ == "__main__":
    main()
