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


def random_nemotron_h(**changes: Any) -> Any:
    """A Nemotron-H with random weights: Mamba, attention, and experts chosen with a bias."""
    import torch
    from transformers import NemotronHConfig, NemotronHForCausalLM

    settings: dict[str, Any] = {
        "vocab_size": 320, "hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2,
        "layers_block_type": ["linear_attention", "moe", "full_attention", "moe"], "head_dim": 8,
        "intermediate_size": 32, "mamba_num_heads": 4, "mamba_head_dim": 16, "ssm_state_size": 8,
        "n_groups": 2, "chunk_size": 16, "n_routed_experts": 8, "num_experts_per_tok": 2,
        "n_group": 2, "topk_group": 1, "moe_intermediate_size": 32, "routed_scaling_factor": 2.5,
        "moe_shared_expert_intermediate_size": 32, "max_position_embeddings": 512,
        "initializer_range": 0.2, "eos_token_id": 258, "pad_token_id": 256, "bos_token_id": None,
    }  # fmt: skip
    torch.manual_seed(0)
    model = NemotronHForCausalLM(NemotronHConfig(**settings | changes)).eval()
    with torch.no_grad():
        for name, bias in model.named_buffers():
            if name.endswith("e_score_correction_bias"):
                bias.normal_(std=0.05)
    return model
