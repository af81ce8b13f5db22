"""A saved random model and the toy's tokenizer, for tests of the trainer."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from conftest import unavailable
from tiny_models import random_qwen3_moe


@pytest.fixture(scope="session", autouse=True)
def _torch() -> None:
    """Everything here needs torch and transformers; tiny matrices are fastest on one thread."""
    for module in ("torch", "transformers"):
        if importlib.util.find_spec(module) is None:
            unavailable(f"{module} is not installed: pip install 'cascade-rl[local]'")
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    from cascade.trainer.tokenizer import toy_tokenizer

    return toy_tokenizer()


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Path:
    """A saved random Qwen3-MoE with the toy's tokenizer."""
    folder = tmp_path_factory.mktemp("model")
    random_qwen3_moe().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
