"""Runs a causal language model over samples and reads off what it thought of the sampled tokens.

Shapes: B rows, T tokens of a row or sample, N sampled tokens of a micro-batch, D hidden size, C
candidates of a token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from cascade.errors import ConfigError
from cascade.trainer.batch import MicroBatch, column, micro_batches
from cascade.trainer.distributed import Ranks
from cascade.trainer.logprobs import Likeliest, TokenLogprobs, likeliest, token_logprobs
from cascade.trainer.moe import find_routers
from cascade.trainer.packing import packing_is_exact
from cascade.trainer.replay import RouterTaps
from cascade.trainer.samples import Sample

if TYPE_CHECKING:
    import numpy.typing as npt
    from transformers import PreTrainedModel

    FloatArray = npt.NDArray[np.float32]
    IntArray = npt.NDArray[np.int64]

__all__ = ["LogprobModel", "Scorer"]


class LogprobModel(nn.Module):
    """A causal language model whose forward pass ends in log-probabilities, not in logits."""

    def __init__(self, model: PreTrainedModel, temperature: float) -> None:
        """Wrap `model`, sharing its weights."""
        super().__init__()
        self.model = model
        self.temperature = temperature

    def forward(
        self,
        input_ids_B_T: torch.Tensor,
        position_ids_B_T: torch.Tensor,
        source_N: torch.Tensor,
        ids_N_K: torch.Tensor,
    ) -> TokenLogprobs:
        """Return log-probabilities of `ids_N_K` as predicted at the flat positions `source_N`."""
        hidden_N_D = _hidden(self.model, input_ids_B_T, position_ids_B_T, source_N)
        head = self.model.get_output_embeddings()
        return token_logprobs(
            hidden_N_D,
            head.weight,
            ids_N_K,
            bias_V=getattr(head, "bias", None),
            temperature=self.temperature,
        )

    def likeliest(
        self,
        input_ids_B_T: torch.Tensor,
        position_ids_B_T: torch.Tensor,
        source_N: torch.Tensor,
        count: int,
    ) -> Likeliest:
        """Return the `count` likeliest ids at the flat positions `source_N`."""
        hidden_N_D = _hidden(self.model, input_ids_B_T, position_ids_B_T, source_N)
        head = self.model.get_output_embeddings()
        return likeliest(
            hidden_N_D,
            head.weight,
            count,
            bias_V=getattr(head, "bias", None),
            temperature=self.temperature,
        )


def _hidden(
    model: PreTrainedModel,
    input_ids_B_T: torch.Tensor,
    position_ids_B_T: torch.Tensor,
    source_N: torch.Tensor,
) -> torch.Tensor:
    """Last hidden states [N, D] at flat positions."""
    hidden_B_T_D: torch.Tensor = model.base_model(
        input_ids=input_ids_B_T, position_ids=position_ids_B_T, use_cache=False
    ).last_hidden_state
    return hidden_B_T_D.flatten(0, 1).index_select(0, source_N)


@torch.no_grad()
def check_head(model: PreTrainedModel) -> None:
    """Check that the model's logits are its last hidden states times its output matrix.

    Raises:
        ConfigError: the model does more with them (soft caps, scales).
    """
    vocabulary = model.config.get_text_config().vocab_size
    position_T = torch.arange(8, device=model.device)
    ids_1_T, positions_1_T = position_T[None] * 5 % vocabulary, position_T[None]
    logits = model(input_ids=ids_1_T, position_ids=positions_1_T, use_cache=False).logits[0]
    own = model.get_output_embeddings()(_hidden(model, ids_1_T, positions_1_T, position_T))
    if not torch.allclose(own.float(), logits.float(), rtol=1e-2, atol=1e-3):
        raise ConfigError(
            f"the logits of {type(model).__name__} are not its hidden states times its output "
            "matrix (it caps or scales them), so its log-probabilities cannot be computed in chunks"
        )


class Scorer:
    """Log-probabilities of samples under one model: of the policy, a reference or a teacher."""

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        row_tokens: int | None = None,
        micro_batch_tokens: int = 16_384,
        temperature: float = 1.0,
        replay: bool = False,
        ranks: Ranks | None = None,
    ) -> None:
        """Test the model's head and packing, and hook into its routers.

        Args:
            model: in evaluation mode.
            row_tokens: tokens of a row; None: of the longest sample.
            micro_batch_tokens: most tokens of a forward pass, padding included.
            temperature: of the sampling distribution that the samples were drawn from.
            replay: send tokens to the experts that the sampler recorded. Leave it off for
                teachers and references: their experts are others.
            ranks: share the work; every one is given all samples and returns all results.

        Raises:
            ConfigError: the model changes logits after its output matrix.
        """
        check_head(model)
        self.net = LogprobModel(model, temperature)
        self.ranks = ranks or Ranks()
        self.replay = replay
        self.packed = packing_is_exact(model)
        self.routers = find_routers(model)
        self.taps = RouterTaps(self.routers)
        self._row_tokens = row_tokens
        self._micro_batch_tokens = micro_batch_tokens

    @property
    def device(self) -> torch.device:
        """Where it computes; sharding moves a model there."""
        return torch.device(self.net.model.device)

    def micro_batches(self, samples: Sequence[Sample]) -> list[MicroBatch]:
        """Split samples into what fits a forward pass; packed if the model keeps texts apart."""
        return micro_batches(
            samples,
            row_tokens=self._row_tokens,
            micro_batch_tokens=self._micro_batch_tokens,
            packed=self.packed,
        )

    def routed(self, micro: MicroBatch, *, counts: bool = True) -> Any:
        """Return the context in which a micro-batch's forward and backward passes must run.

        Its tokens enter the statistics of routes if it `counts`.
        """
        routes = micro.routes_L_BT_K if self.replay else None
        return self.taps.over(
            micro.is_padding_B_T.to(self.device) | (not counts),
            None if routes is None else routes.to(self.device),
        )

    def run(self, micro: MicroBatch, ids_N_K: torch.Tensor | None = None) -> TokenLogprobs:
        """Run a micro-batch through the model, for its sampled tokens or for `ids_N_K`."""
        ids_N_K = micro.ids_N[:, None] if ids_N_K is None else ids_N_K
        out: TokenLogprobs = self.net(*self._inputs(micro), ids_N_K.to(self.device))
        return out

    def _inputs(self, micro: MicroBatch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return (
            micro.rows.input_ids_B_T.to(self.device),
            micro.rows.position_ids_B_T.to(self.device),
            micro.source_N.to(self.device),
        )

    def likeliest(self, samples: Sequence[Sample], count: int) -> list[IntArray]:
        """Return the ids [T, C] of the `count` likeliest tokens at each sampled position."""
        return self._read(
            samples, lambda micro: self.net.likeliest(*self._inputs(micro), count).ids_N_K
        )

    def candidate_logprobs(
        self, samples: Sequence[Sample], candidate_ids: Sequence[IntArray]
    ) -> list[FloatArray]:
        """Return the log-probabilities [T, C] of the candidates of each sample, in nats."""

        def read(micro: MicroBatch) -> torch.Tensor:
            ids_N_C = column(micro, samples, lambda i: candidate_ids[i])
            return self.run(micro, ids_N_C).logprob_N_K.float()

        return self._read(samples, read)

    def logprobs(self, samples: Sequence[Sample]) -> list[FloatArray]:
        """Return the log-probabilities [T] of each sample, in nats; 0 where not sampled."""
        return self._read(samples, lambda micro: self.run(micro).logprob_N_K[:, 0].float())

    @torch.no_grad()
    def _read(
        self, samples: Sequence[Sample], read: Callable[[MicroBatch], torch.Tensor]
    ) -> list[Any]:
        """Lay `read(micro)`, values of sampled tokens, out as arrays [T, …], else 0."""
        found: dict[int, npt.NDArray[Any]] = {}
        with self.ranks.phase("scoring"):
            for micro, counts in self.ranks.share(self.micro_batches(samples)):
                with self.routed(micro):
                    parts = torch.split(read(micro).cpu(), list(micro.count_of_sample))
                if counts:
                    found.update(zip(micro.indices, (p.numpy() for p in parts), strict=True))
            for others in self.ranks.gathered(found):
                found.update(others)
        results = []
        for i, sample in enumerate(samples):
            shape = (len(sample.token_ids), *found[i].shape[1:])
            results.append(np.zeros(shape, dtype=found[i].dtype))
            results[-1][sample.sampled] = found[i]
        return results
