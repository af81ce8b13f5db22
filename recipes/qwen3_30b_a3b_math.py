r"""Mathematics by GRPO on Qwen3-30B-A3B: six H200 train, sharded by FSDP2; two serve vLLM.

    cascade-train plan recipes/qwen3_30b_a3b_math.py --device h200 --devices 6
    CUDA_VISIBLE_DEVICES=6,7 VLLM_SERVER_DEV_MODE=1 python -m vllm.entrypoints.openai.api_server \
        --model Qwen/Qwen3-30B-A3B --served-model-name policy --tensor-parallel-size 2 \
        --max-model-len 28672 --logprobs-mode processed_logprobs \
        --weight-transfer-config '{"backend":"nccl"}'
    CUDA_VISIBLE_DEVICES=0,1,2,3,4,5 torchrun --nproc-per-node 6 -m cascade.trainer.cli \
        recipes/qwen3_30b_a3b_math.py --run-dir DIR

Before that, measure how hard the tasks are, and let the recipe leave out what teaches nothing:

    cascade-env profile cascade/Math-v0 --tasks DATA.jsonl --base-url URL --model NAME \
        --samples 8 --max-tokens 24576 --out PROFILE.jsonl
    export CASCADE_MATH_TASKS=DATA.jsonl CASCADE_MATH_PROFILE=PROFILE.jsonl

Settings are those published for Nemotron-Cascade's GRPO stages (arXiv 2603.19220, Tables 8 to 10)
and, for the order of tasks and the length of answers, its Math RL (arXiv 2512.13607, section 4.5).

State: planned, not run, for no GPU was at hand; smaller models have trained with two processes on
the CPU. Each process reads the whole model into the machine's memory at the start, 122 GB.
"""

from __future__ import annotations

import os
from pathlib import Path

from cascade.envs.profile import pass_rates
from cascade.trainer.collect import TrainEnv
from cascade.trainer.corrections import IcePop
from cascade.trainer.curriculum import Readmission
from cascade.trainer.engines.remote_vllm import NcclTransfer, VllmServer
from cascade.trainer.grpo import GrpoStage
from cascade.trainer.losses import Grpo
from cascade.trainer.optimizer import OptimizerConfig
from cascade.trainer.policy import PolicyConfig
from cascade.trainer.recipe import Pretrained, Recipe
from cascade.types import SamplingParams


def recipe() -> Recipe:
    """Return the recipe; ``--set`` changes single fields, such as ``model.path``."""
    profile = os.environ.get("CASCADE_MATH_PROFILE")
    return Recipe(
        name="Qwen3-30B-A3B math",
        # Weights in float32 are the masters of a computation in bfloat16.
        model=Pretrained("Qwen/Qwen3-30B-A3B", dtype="float32", device="cuda"),
        stages=(
            GrpoStage(
                name="math",
                steps=200,
                envs=(
                    TrainEnv(
                        env="cascade/Math-v0",
                        tasks=os.environ.get("CASCADE_MATH_TASKS", "math_train.jsonl"),
                        order=Readmission(hard=0.10, easy=0.01),
                        pass_rates=pass_rates(Path(profile)) if profile else {},
                    ),
                ),
                groups=128,
                group_size=16,
                sampling=SamplingParams(max_tokens=24_576),
                engine=VllmServer(
                    url="http://127.0.0.1:8000", model="policy", transfer=NcclTransfer()
                ),
                # vLLM's kernels are not the trainer's: tokens on which they disagree are masked.
                loss=Grpo(correction=IcePop(0.5, 5.0)),
                policy=PolicyConfig(
                    micro_batch_tokens=32_768,
                    activation_checkpointing=True,
                    freeze_routers=True,
                    dtype="bfloat16",
                ),
                optimizer=OptimizerConfig(
                    peak_learning_rate=3e-6, initial_learning_rate=3e-7, warmup_steps=10
                ),
                overlong="zero",
            ),
        ),
        checkpoint_every=10,
    )
