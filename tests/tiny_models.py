"""Small models with random weights, for tests of what runs models."""

from __future__ import annotations

from typing import Any


def random_qwen3_moe(**changes: Any) -> Any:
    """A Qwen3-MoE with random weights, far enough from uniform that samples vary."""
    import torch
    from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

    settings: dict[str, Any] = {
        "vocab_size": 320, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 32, "num_experts": 4, "num_experts_per_tok": 2,
        "moe_intermediate_size": 32, "intermediate_size": 32, "max_position_embeddings": 512,
        "norm_topk_prob": True, "initializer_range": 0.12, "eos_token_id": 258,
        "pad_token_id": 256, "bos_token_id": None,
    }  # fmt: skip
    torch.manual_seed(0)
    return Qwen3MoeForCausalLM(Qwen3MoeConfig(**settings | changes)).eval()


def random_gpt_oss() -> Any:
    """A GPT-OSS with random weights: attention sinks, and a sliding window on every other layer."""
    import torch
    from transformers import GptOssConfig, GptOssForCausalLM

    torch.manual_seed(0)
    config = GptOssConfig(
        vocab_size=320, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, num_local_experts=4, num_experts_per_tok=2,
        intermediate_size=32, max_position_embeddings=512, sliding_window=8, eos_token_id=258,
        pad_token_id=256, initializer_range=0.15,
    )  # fmt: skip
    return GptOssForCausalLM(config).eval()
