"""Continuous batching: requests join and leave the running batch between two tokens.

`ContinuousBatch` knows a model, requests in token ids and nothing else: no text, no threads, no
asyncio. One `step` admits waiting requests (each distinct prompt is computed once, however many
requests share it), draws a token for every live request, and returns those that ended.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import transformers
from transformers import DynamicCache, PreTrainedModel

from cascade.errors import ConfigError
from cascade.trainer.engines.attention import grouped_decoding
from cascade.trainer.engines.requests import Request
from cascade.trainer.engines.routes import RouteRecorder
from cascade.trainer.engines.sampling import Settings, draw
from cascade.trainer.engines.slots import Prefix, SlotCache
from cascade.types import StopReason

__all__ = ["ContinuousBatch", "check_attention"]

_PREFILL_TOKENS = 8192


def _attention_types(config: Any) -> set[str]:
    config = config.get_text_config()
    types = getattr(config, "layer_types", None)
    if types:
        return set(types)
    return {"sliding_attention" if getattr(config, "sliding_window", None) else "full_attention"}


def check_attention(model: PreTrainedModel) -> None:
    """Refuse models that keep anything but keys and values per token (state-space layers).

    Raises:
        ConfigError: names the kinds of layers that are not supported.
    """
    other = _attention_types(model.config) - {"full_attention", "sliding_attention"}
    if other:
        raise ConfigError(
            f"the torch engine runs models with full or sliding attention; "
            f"{type(model).__name__} also has {', '.join(sorted(other))}: use the vllm engine"
        )


class ContinuousBatch:
    """A running batch of one transformers model; implements `requests.Batch`."""

    extra_fields: frozenset[str] = frozenset()

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        max_batch: int,
        max_length: int,
        prefix_cache_tokens: int = 65_536,
        record_routes: bool = False,
    ) -> None:
        """Prepare an empty batch.

        Args:
            model: a causal language model in evaluation mode.
            max_batch: most requests that are decoded together.
            max_length: prompt and sample together, in tokens.
            prefix_cache_tokens: prompt tokens whose keys and values are kept for requests to come.
            record_routes: note which experts each token is sent to.
        """
        check_attention(model)
        config = model.config.get_text_config()
        self.model = model
        self.max_batch = max_batch
        self.max_length = max_length
        self.prefix_cache_tokens = prefix_cache_tokens
        self.device = model.device
        self._types = _attention_types(config)
        self._window = getattr(config, "sliding_window", None) or 0
        self._recorder = RouteRecorder(model) if record_routes else None
        self._cache = SlotCache(config.num_hidden_layers, max_batch)
        self._prefixes: OrderedDict[tuple[int, ...], Prefix] = OrderedDict()
        self._waiting: deque[Request] = deque()
        self._rows: list[Request] = []
        self._settings: Settings | None = None

    @property
    def busy(self) -> bool:
        """Whether any request waits or runs."""
        return bool(self._waiting or self._rows)

    def add(self, request: Request) -> None:
        """Queue a request; the caller has checked that its prompt is shorter than `max_length`."""
        self._waiting.append(request)

    def clear(self) -> None:
        """Drop every request and all cached prompts."""
        self._rows, self._waiting, self._settings = [], deque(), None
        self.forget_prompts()

    def forget_prompts(self) -> None:
        """Drop cached prompts, which are stale once the weights change."""
        self._prefixes.clear()

    @torch.no_grad()
    def change_weights(self, change: Callable[[PreTrainedModel], None]) -> None:
        """Run `change(model)` while nothing is sampled, and forget what the old weights gave."""
        change(self.model)
        self.forget_prompts()

    def close(self) -> None:
        """Nothing to release beyond memory."""

    def describe(self) -> Mapping[str, Any]:
        """Return engine, versions and the model's properties."""
        return {
            "engine": "torch",
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "architecture": type(self.model).__name__,
            "parameters": self.model.num_parameters(),
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "device": str(self.device),
            "seed_policy": "one Philox stream per request; place i > 0 in a call mixes i in",
        }

    @torch.inference_mode()
    def step(self) -> list[Request]:
        """Admit what fits, draw one token for each live request, return the ended ones."""
        self._drop_cancelled()
        ended = self._admit()
        if self._rows:
            self._append(self._rows, self._decode(), self._row_settings())
            ended += self._retire()
        return ended

    def _drop_cancelled(self) -> None:
        self._waiting = deque(r for r in self._waiting if not r.cancelled)
        for row in reversed(range(len(self._rows))):
            if self._rows[row].cancelled:
                self._free(row)

    def _admit(self) -> list[Request]:
        free = self.max_batch - len(self._rows)
        if not (free and self._waiting):
            return []
        new = [self._waiting.popleft() for _ in range(min(free, len(self._waiting)))]
        prefixes = self._prefixes_of([request.prompt_ids for request in new])
        for request in new:
            prefix = prefixes[request.prompt_ids]
            self._cache.load(len(self._rows), prefix)
            request.routes = [] if prefix.routes is None else [prefix.routes]
            self._rows.append(request)
        self._settings = None
        logits_B_V = torch.stack([prefixes[request.prompt_ids].logits_V for request in new])
        self._append(new, logits_B_V, _settings(new, self.device))
        return self._retire()

    def _decode(self) -> torch.Tensor:
        """Run the newest token of every row through the model; return logits [B, V]."""
        lengths_B = torch.tensor([r.cached for r in self._rows], device=self.device)
        newest_B_1 = torch.tensor([[r.token_ids[-1]] for r in self._rows], device=self.device)
        self._cache.advance(lengths_B)
        with grouped_decoding(self.model):
            logits_B_V, routes = self._forward(
                input_ids=newest_B_1,
                position_ids=lengths_B[:, None],
                attention_mask=self._masks(lengths_B),
                past_key_values=self._cache,
            )
        if routes is not None:
            for row, request in enumerate(self._rows):
                request.routes.append(routes[row : row + 1])
        return logits_B_V

    def _forward(self, **inputs: Any) -> tuple[torch.Tensor, Any]:
        """Run the model; return logits [B, V] of the last tokens, and routes [B * T, L, K]."""
        if self._recorder is not None:
            self._recorder.start()
        logits_B_1_V: torch.Tensor = self.model(**inputs, use_cache=True, logits_to_keep=1).logits
        return logits_B_1_V[:, -1], self._recorder.stop() if self._recorder is not None else None

    def _masks(self, lengths_B: torch.Tensor) -> torch.Tensor | dict[str, torch.Tensor]:
        """Additive masks [B, 1, 1, C] by kind of layer; one tensor if there is one kind."""
        column_C = torch.arange(self._cache.frontier.width, device=self.device)
        behind_B_C = column_C[None] > lengths_B[:, None]
        hidden = {"full_attention": behind_B_C}
        if "sliding_attention" in self._types:
            before_B_C = column_C[None] <= lengths_B[:, None] - self._window
            hidden["sliding_attention"] = behind_B_C | before_B_C
        dtype = self.model.dtype
        masks = {
            kind: torch.zeros(hidden_B_C.shape, dtype=dtype, device=self.device).masked_fill_(
                hidden_B_C, torch.finfo(dtype).min
            )[:, None, None]
            for kind, hidden_B_C in hidden.items()
            if kind in self._types
        }
        return masks if len(masks) > 1 else next(iter(masks.values()))

    def _append(
        self, requests: Sequence[Request], logits_B_V: torch.Tensor, settings: Settings
    ) -> None:
        uniform_B = torch.tensor(
            [request.uniform() for request in requests], dtype=torch.float64, device=self.device
        )
        token_B, logprob_B = draw(logits_B_V, settings, uniform_B)
        for request, token, logprob in zip(
            requests, token_B.tolist(), logprob_B.tolist(), strict=True
        ):
            request.token_ids.append(token)
            request.logprobs.append(logprob)

    def _retire(self) -> list[Request]:
        ended = []
        for row in reversed(range(len(self._rows))):
            request = self._rows[row]
            request.stop_reason = self._reason_to_stop(request)
            if request.stop_reason is not None:
                ended.append(request)
                self._free(row)
        return ended[::-1]

    def _reason_to_stop(self, request: Request) -> StopReason | None:
        if request.token_ids[-1] in request.end_ids:
            return StopReason.STOP
        if request.hits_stop is not None and request.hits_stop(request.token_ids):
            return StopReason.STOP
        length = len(request.prompt_ids) + len(request.token_ids)
        if len(request.token_ids) >= request.params.max_tokens or length >= self.max_length:
            return StopReason.LENGTH
        return None

    def _free(self, row: int) -> None:
        """Take a row out, and move the last one into its place."""
        last = self._rows.pop()
        if row < len(self._rows):
            self._rows[row] = last
            self._cache.move(len(self._rows), row, last.cached)
        self._settings = None

    def _row_settings(self) -> Settings:
        if self._settings is None:
            self._settings = _settings(self._rows, self.device)
        return self._settings

    def _prefixes_of(self, prompts: Sequence[tuple[int, ...]]) -> dict[tuple[int, ...], Prefix]:
        """Look up or compute each distinct prompt, and keep the newest ones."""
        distinct = dict.fromkeys(prompts)
        found = {p: self._prefixes.pop(p) for p in distinct if p in self._prefixes}
        missing = sorted((p for p in distinct if p not in found), key=len)
        while missing:
            rows = max(1, _PREFILL_TOKENS // len(missing[-1]))
            chunk, missing = missing[-rows:], missing[:-rows]
            found.update(zip(chunk, self._prefill(chunk), strict=True))
        self._prefixes.update(found)
        held = sum(map(len, self._prefixes))
        while held > self.prefix_cache_tokens:
            held -= len(self._prefixes.popitem(last=False)[0])
        return found

    def _prefill(self, prompts: Sequence[tuple[int, ...]]) -> list[Prefix]:
        """Run prompts through the model in one left-padded batch."""
        longest = max(map(len, prompts))
        input_ids = torch.zeros((len(prompts), longest), dtype=torch.long)
        mask = torch.zeros((len(prompts), longest), dtype=torch.long)
        for i, prompt in enumerate(prompts):
            input_ids[i, longest - len(prompt) :] = torch.tensor(prompt)
            mask[i, longest - len(prompt) :] = 1
        cache = DynamicCache()
        logits_B_V, routes = self._forward(
            input_ids=input_ids.to(self.device),
            attention_mask=mask.to(self.device),
            position_ids=(mask.cumsum(-1) - 1).clamp(min=0).to(self.device),
            past_key_values=cache,
        )
        if routes is not None:
            routes = routes.reshape(len(prompts), longest, *routes.shape[1:])
        return [
            Prefix(
                tuple(layer.keys[i, :, longest - len(prompt) :].clone() for layer in cache.layers),
                tuple(
                    layer.values[i, :, longest - len(prompt) :].clone() for layer in cache.layers
                ),
                logits_B_V[i],
                None if routes is None else routes[i, longest - len(prompt) :],
            )
            for i, prompt in enumerate(prompts)
        ]


def _settings(requests: Sequence[Request], device: torch.device) -> Settings:
    params = [request.params for request in requests]
    return Settings(
        torch.tensor([p.temperature for p in params], dtype=torch.float32, device=device),
        torch.tensor([p.top_p for p in params], dtype=torch.float32, device=device),
        torch.tensor([p.top_k for p in params], dtype=torch.long, device=device),
    )
