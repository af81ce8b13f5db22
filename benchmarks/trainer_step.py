"""One GRPO step, ours beside TRL 1.16's GRPOTrainer: time and peak memory, on the CPU.

    python benchmarks/trainer_step.py [--vocabulary 4096 32768] [--rounds 5] [--threads 1]

Both train the same random Qwen3-MoE (hidden 128, 4 layers, 16 experts, top 4, float32) from the
same weights on the same prompts: groups of 8 samples, end-of-text off so that every sample has
exactly `--tokens` tokens, DAPO's loss, no KL, temperature 1, AdamW, no activation checkpoints, no
auxiliary loss, entropy computed in both, a reward that costs nothing. A step is all that a training
run does: sampling, scoring, backward, update (ours also syncs, and audits its engine with one
probe). Ours computes gradients in micro-batches of `--micro-batch-tokens`, TRL in `--trl-parts`
equal parts (1: its plain setting).

Each trainer runs in a process of its own and is told to take one step in turn (A, B, A, B, …), so
that other work on the machine hits both; medians of processor and wall time after two warm-up
steps. Peak memory is the process's largest resident set.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

GROUP_SIZE = 8
PROMPT_TOKENS = 32
WARM_UP = 2
TARGETS = {4096: 1.5, 32768: 1.8}
"""Vocabulary -> how many times faster than TRL a step has to be."""
TARGET_MEMORY = 0.60
"""Share of TRL's peak memory that ours may take."""


def reward_of(text: str) -> float:
    """Return a number in [0, 1] that depends on the text alone and costs nothing."""
    return hashlib.sha256(text.encode()).digest()[0] / 255


def prompts(count: int) -> list[str]:
    """Return texts of `PROMPT_TOKENS` tokens."""
    rng = random.Random(0)
    return [
        " ".join(f"w{rng.randrange(100, 4000)}" for _ in range(PROMPT_TOKENS)) for _ in range(count)
    ]


def word_tokenizer(vocabulary: int) -> Any:
    """Build a tokenizer with one token for each of the words w0, w1, … ."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.WordLevel({f"w{i}": i for i in range(vocabulary)}, unk_token="w0"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token="w1",
        pad_token="w2",
        chat_template="{% for m in messages %}{{ m['content'] }}{% endfor %}",
    )


def small_moe(vocabulary: int) -> Any:
    """Build the model; the same weights in every process."""
    import torch
    from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

    torch.manual_seed(0)
    config = Qwen3MoeConfig(
        vocab_size=vocabulary, hidden_size=128, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, head_dim=32, num_experts=16, num_experts_per_tok=4,
        moe_intermediate_size=128, intermediate_size=128, max_position_embeddings=1024,
        norm_topk_prob=True, tie_word_embeddings=False, eos_token_id=1, pad_token_id=2,
        bos_token_id=None, output_router_logits=False, router_aux_loss_coef=0.0,
    )  # fmt: skip
    return Qwen3MoeForCausalLM(config)


class StepClock:
    """Takes a step whenever the other end of the pipe says so, and says how long it took."""

    def __init__(self) -> None:
        self._begun = (0.0, 0.0)

    def wait(self) -> None:
        """Wait for the word; leave the process at the end of the input."""
        if not sys.stdin.readline():
            os._exit(0)
        self._begun = (time.perf_counter(), time.process_time())

    def done(self, metrics: dict[str, float]) -> None:
        """Report the step."""
        wall, cpu = self._begun
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        told = {
            "wall": time.perf_counter() - wall,
            "cpu": time.process_time() - cpu,
            "peak_bytes": peak,
            "metrics": metrics,
        }
        print(f"STEP {json.dumps(told)}", flush=True)


def work_trl(args: argparse.Namespace, clock: StepClock) -> None:
    """Train with TRL."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    class Turns(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            clock.wait()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            clock.done({})

    def reward(completions: list[str], **columns: Any) -> list[float]:
        return [reward_of(text) for text in completions]

    groups = args.samples // GROUP_SIZE
    with tempfile.TemporaryDirectory() as folder:
        config = GRPOConfig(
            output_dir=folder, max_steps=10_000,
            per_device_train_batch_size=args.samples // args.trl_parts,
            gradient_accumulation_steps=args.trl_parts,
            num_generations=GROUP_SIZE, max_completion_length=args.tokens, beta=0.0,
            loss_type="dapo", temperature=1.0, learning_rate=1e-4, lr_scheduler_type="constant",
            adam_beta1=0.9, adam_beta2=0.95, weight_decay=0.0, gradient_checkpointing=False,
            use_cpu=True, bf16=False, report_to=[], logging_steps=10_000, save_strategy="no",
            disable_tqdm=True, router_aux_loss_coef=0.0,
            generation_kwargs={"min_new_tokens": args.tokens},
        )  # fmt: skip
        trainer = GRPOTrainer(
            small_moe(args.vocabulary[0]), reward_funcs=reward, args=config,
            train_dataset=Dataset.from_dict({"prompt": prompts(groups)}),
            processing_class=word_tokenizer(args.vocabulary[0]), callbacks=[Turns()],
        )  # fmt: skip
        trainer.train()


def work_ours(args: argparse.Namespace, clock: StepClock) -> None:
    """Train with the stage that `cascade-train` runs."""
    import torch

    from cascade.envs import SingleTurnEnv
    from cascade.envs.tasksets import Provenance, TaskSet
    from cascade.trainer.collect import EnvPool, TrainEnv
    from cascade.trainer.grpo import GrpoStage
    from cascade.trainer.losses import Dapo
    from cascade.trainer.optimizer import OptimizerConfig
    from cascade.trainer.policy import PolicyConfig
    from cascade.trainer.recipe import Context
    from cascade.trainer.sync import Audit
    from cascade.types import SamplingParams, Task, Verdict, VerdictStatus

    class HashEnv(SingleTurnEnv):
        @staticmethod
        def verifier(response: str, reference: Any, /) -> Verdict:
            return Verdict(reward_of(response), VerdictStatus.PARTIAL)

        def oracle_response(self, task: Task) -> None:
            return None

        def wrong_response(self, task: Task) -> None:
            return None

        def responds_quickly(self, text: str) -> bool:
            return True

    class HashPool(EnvPool):
        def take(self) -> Any:
            return self._idle.pop() if self._idle else HashEnv(self.tasks)

    class HashDomain(TrainEnv):
        __slots__ = ()

        def open(self) -> EnvPool:
            tasks = tuple(
                Task(str(i), ({"role": "user", "content": text},))
                for i, text in enumerate(prompts(args.samples // GROUP_SIZE))
            )
            made = Provenance("generated", "", len(tasks))
            return HashPool(self, HashEnv(TaskSet("words", tasks, made)))

    stage = GrpoStage(
        steps=10_000, envs=(HashDomain(env="hash"),), groups=args.samples // GROUP_SIZE,
        group_size=GROUP_SIZE, loss=Dapo(),
        sampling=SamplingParams(max_tokens=args.tokens, extra={"ignore_eos": True}),
        optimizer=OptimizerConfig(peak_learning_rate=1e-4),
        policy=PolicyConfig(micro_batch_tokens=args.micro_batch_tokens), audit=Audit(prompts=1),
    )  # fmt: skip
    torch.manual_seed(0)

    async def train(folder: Path) -> None:
        model, tokenizer = small_moe(args.vocabulary[0]), word_tokenizer(args.vocabulary[0])
        run = stage.open(Context(model, tokenizer, folder, folder, seed=0))
        for index in range(10_000):
            clock.wait()
            metrics = await run.step(index)
            clock.done({name: float(value) for name, value in metrics.items()})

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(train(Path(folder)))


WORKERS: dict[str, Callable[[argparse.Namespace, StepClock], None]] = {
    "ours": work_ours,
    "trl": work_trl,
}


class Worker:
    """A trainer in a process of its own."""

    def __init__(self, name: str, vocabulary: int, args: argparse.Namespace) -> None:
        command = [
            sys.executable, __file__, "--worker", name, "--vocabulary", str(vocabulary),
            "--samples", str(args.samples), "--tokens", str(args.tokens),
            "--trl-parts", str(args.trl_parts),
            "--micro-batch-tokens", str(args.micro_batch_tokens),
        ]  # fmt: skip
        environ = {
            **os.environ,
            "OMP_NUM_THREADS": str(args.threads),
            "TOKENIZERS_PARALLELISM": "0",
        }
        self.name = name
        self.steps: list[dict[str, Any]] = []
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ, text=True
        )

    def step(self) -> None:
        """Take a step and note what it cost."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print("go", file=self._process.stdin, flush=True)
        for line in self._process.stdout:
            if line.startswith("STEP "):
                self.steps.append(json.loads(line[5:]))
                return
        raise SystemExit(f"the {self.name} trainer ended (exit code {self._process.wait()})")

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def median(self, field: str) -> float:
        """Median over the steps after the warm-up."""
        values: list[float] = [step[field] for step in self.steps[WARM_UP:]]
        return statistics.median(values)

    @property
    def peak_bytes(self) -> float:
        """Largest resident set."""
        return float(self.steps[-1]["peak_bytes"])


def compare(vocabulary: int, args: argparse.Namespace) -> None:
    """Measure both, in turn, and print."""
    ours, trl = workers = [Worker(name, vocabulary, args) for name in WORKERS]
    for _ in range(WARM_UP + args.rounds):
        for worker in workers:
            worker.step()
    for worker in workers:
        worker.close()
    print(f"\nvocabulary {vocabulary:,}, {args.samples} samples of {args.tokens} tokens")
    for worker in workers:
        print(
            f"  {worker.name:5} processor {worker.median('cpu'):7.3f} s, wall "
            f"{worker.median('wall'):7.3f} s, peak memory {worker.peak_bytes / 1e9:.2f} GB"
        )
    parts = [step["metrics"] for step in ours.steps[WARM_UP:]]
    told = [
        f"{name.removeprefix('seconds/')} {statistics.median(p[name] for p in parts):.3f}"
        for name in parts[0]
        if name.startswith("seconds/")
    ]
    print(f"  ours by phase, wall seconds: {', '.join(told)}")
    skipped = sum(p.get("update/skipped", 0.0) for p in parts)
    if skipped:
        raise SystemExit(f"{skipped:.0f} of our steps had no update: not comparable")
    faster = trl.median("cpu") / ours.median("cpu")
    share = ours.peak_bytes / trl.peak_bytes
    target = TARGETS.get(vocabulary)
    if target is not None:
        verdict(f"processor time: {faster:.2f} times faster", f"{target}", faster >= target)
    print(f"  wall time: {trl.median('wall') / ours.median('wall'):.2f} times faster")
    verdict(f"peak memory: {share:.0%} of TRL's", f"{TARGET_MEMORY:.0%}", share <= TARGET_MEMORY)


def verdict(what: str, target: str, reached: bool) -> None:
    """Print a number beside what was wanted."""
    print(f"  {what} (target {target}: {'reached' if reached else 'NOT reached'})")


def main() -> None:
    """Parse arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--vocabulary", type=int, nargs="+", default=sorted(TARGETS))
    parser.add_argument("--samples", type=int, default=32, help="of a step, in groups of 8")
    parser.add_argument("--tokens", type=int, default=64, help="of each sample")
    parser.add_argument("--rounds", type=int, default=5, help="measured steps of each trainer")
    parser.add_argument("--micro-batch-tokens", type=int, default=2048, help="ours")
    parser.add_argument("--trl-parts", type=int, default=1, help="of TRL's batch")
    parser.add_argument("--threads", type=int, default=1, help="of torch, in both")
    parser.add_argument("--worker", choices=WORKERS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        warnings.simplefilter("ignore")
        WORKERS[args.worker](args, StepClock())
        return
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    for vocabulary in args.vocabulary:
        compare(vocabulary, args)


if __name__ == "__main__":
    main()
