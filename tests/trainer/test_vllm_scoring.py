"""vLLM as a teacher's scorer, against the trainer's own on the same weights."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cascade.errors import EngineError
from cascade.trainer.engines.vllm_scoring import VllmScorer
from cascade.trainer.models import load_model
from cascade.trainer.scorer import Scorer
from drawn_samples import drawn

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # vLLM's own imports warn
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vllm is not installed"),
]


def test_sampled_tokens_are_scored_as_by_the_trainer(model_folder: Path) -> None:
    from vllm import LLM

    llm = LLM(str(model_folder), dtype="float32", enforce_eager=True, max_num_seqs=8)
    samples = drawn(6)
    found = VllmScorer(llm).logprobs(samples)
    expected = Scorer(load_model(str(model_folder))).logprobs(samples)
    for ours, theirs in zip(found, expected, strict=True):
        assert np.abs(ours - theirs).max() < 1e-4


class Recorder:
    """Stands where a GPU's vLLM would: keeps the parameters, answers with row and column."""

    def __init__(self, answers: bool) -> None:
        self.answers = answers
        self.params: list[Any] = []

    def generate(self, prompts: Any, params: Any, use_tqdm: bool) -> list[Any]:
        self.params = params

        class Output:
            prompt_token_id_logprobs: Any = None

        outputs = []
        for one in params:
            output = Output()
            if self.answers:
                rows, columns = np.indices(np.shape(one.prompt_logprob_token_ids))
                output.prompt_token_id_logprobs = -(rows + columns / 10)
            outputs.append(output)
        return outputs


def test_candidates_are_asked_at_the_position_that_predicts_them() -> None:
    """Not run on a GPU: vLLM's own parameters, but a recorder in the engine's place."""
    [sample] = drawn(1)
    size = len(sample.token_ids)
    ids = np.arange(size * 3).reshape(size, 3)
    recorder = Recorder(answers=True)
    [scores] = VllmScorer(recorder).candidate_logprobs([sample], [ids])
    assert np.array_equal(recorder.params[0].prompt_logprob_token_ids, ids[1:])
    [t] = np.nonzero(sample.sampled)
    assert np.allclose(scores[t], -((t - 1)[:, None] + np.arange(3) / 10))
    assert (scores[~sample.sampled] == 0).all()
    with pytest.raises(EngineError, match="V2_MODEL_RUNNER"):
        VllmScorer(Recorder(answers=False)).candidate_logprobs([sample], [ids])
