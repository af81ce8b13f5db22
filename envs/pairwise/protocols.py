"""How two answers are judged: published prompts, labels, and what a label is worth.

A prompt is part of a benchmark's protocol: changing a word changes the score.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cascade.envs.judges import PairPrompt, Parse, last_label
from cascade.errors import ConfigError, UnknownNameError

__all__ = ["PAIR_PROTOCOLS", "Game", "PairProtocol", "find_pair_protocol", "swapped_label"]


@dataclass(frozen=True, slots=True)
class Game:
    """What one game says of the second answer (B), the first being A."""

    share: float
    """1 if B won, 0 if A did, 0.5 for a tie."""
    weight: float
    """How often the game counts."""


Combine = Callable[[Game, Game], Sequence[Game]]
"""Takes both games, each seen from the model's side; returns the games that count."""


@dataclass(frozen=True, slots=True)
class PairProtocol:
    """A published way to compare two answers."""

    name: str
    prompt: PairPrompt
    games: Mapping[str, Game]
    """What each label is worth."""
    combine: Combine
    parse: Parse[str] | None = None
    """Finds the label in a reply; None: the last one in brackets."""

    @property
    def parser(self) -> Parse[str]:
        """What finds the label in a judge's reply."""
        return self.parse or last_label(tuple(self.games))

    def game(self, label: str, *, model_is_b: bool) -> Game:
        """Return a game from the model's side.

        Raises:
            ConfigError: an unknown label.
        """
        if label not in self.games:
            raise ConfigError(f"label {label!r} is none of {', '.join(self.games)}")
        game = self.games[label]
        return game if model_is_b else Game(1.0 - game.share, game.weight)

    def won(self, first: str, second: str) -> tuple[float, float]:
        """Return the model's weighted wins and the weight of all games that count.

        Args:
            first: label of the game in which the model is B.
            second: label of the game in which the model is A.
        """
        games = self.combine(self.game(first, model_is_b=True), self.game(second, model_is_b=False))
        return sum(g.share * g.weight for g in games), sum(g.weight for g in games)


def each(first: Game, second: Game) -> Sequence[Game]:
    """Both games count."""
    return first, second


def agreed(first: Game, second: Game) -> Sequence[Game]:
    """One game counts: a win if both orders say so, else a tie (Zheng et al. 2023, 3.4)."""
    return (Game(first.share if first.share == second.share else 0.5, 1.0),)


def swapped_label(label: str) -> str:
    """Return what the label means if the answers change places: A>>B becomes B>>A, a tie stays."""
    return label if "=" in label else label.translate(str.maketrans("AB", "BA"))


_INTRODUCTION = (
    "Please act as an impartial judge and evaluate the quality of the responses provided by two AI "
    "assistants to the user prompt displayed below. You will be given assistant A's answer and "
    "assistant B's answer. Your job is to evaluate which assistant's answer is better.\n\n"
)
_OWN_ANSWER = (
    "Begin your evaluation by generating your own answer to the prompt. You must provide your "
    "answers before judging any answers.\n\nWhen evaluating the assistants' answers, compare both "
    "assistants' answers with your answer. You must identify and correct any mistakes or "
    "inaccurate information.\n\n"
)
_NO_ANSWER = (
    "When evaluating the assistants' answers, compare both assistants' answers. You must identify "
    "and correct any mistakes or inaccurate information.\n\n"
)
_CRITERIA = (
    "Then consider if the assistant's answers are helpful, relevant, and concise. Helpful means "
    "the answer correctly responds to the prompt or follows the instructions. Note when user "
    "prompt has any ambiguity or more than one interpretation, it is more helpful and appropriate "
    "to ask for clarifications or more information from the user than providing an answer based on "
    "assumptions. Relevant means all parts of the response closely connect or are appropriate to "
    "what is being asked. Concise means the response is clear and not verbose or excessive.\n\n"
    "Then consider the creativity and novelty of the assistant's answers when needed. Finally, "
    "identify any missing important information in the assistants' answers that would be "
    "beneficial to include when responding to the user prompt.\n\nAfter providing your "
    "explanation, you must output only one of the following choices as your final verdict with a "
    "label:\n\n1. Assistant A is significantly better: [[A>>B]]\n2. Assistant A is slightly "
    "better: [[A>B]]\n3. Tie, relatively the same: [[A=B]]\n4. Assistant B is slightly better: "
    '[[B>A]]\n5. Assistant B is significantly better: [[B>>A]]\n\nExample output: "My final '
    'verdict is tie: [[A=B]]".'
)
_USER = (
    "<|User Prompt|>\n{question}\n\n<|The Start of Assistant A's Answer|>\n{answer_a}\n<|The End "
    "of Assistant A's Answer|>\n\n<|The Start of Assistant B's Answer|>\n{answer_b}\n<|The End of "
    "Assistant B's Answer|>"
)
_ARENA = "lmarena/arena-hard-auto at 196f6b8, utils/judge_utils.py and config (Apache-2.0)"
_ARENA_GAMES = {
    "A>>B": Game(0.0, 3.0), "A>B": Game(0.0, 1.0), "A=B": Game(0.5, 1.0),
    "B>A": Game(1.0, 1.0), "B>>A": Game(1.0, 3.0),
}  # fmt: skip

_MT_BENCH = (
    "Please act as an impartial judge and evaluate the quality of the responses provided by two AI "
    "assistants to the user question displayed below. You should choose the assistant that follows "
    "the user's instructions and answers the user's question better. Your evaluation should "
    "consider factors such as the helpfulness, relevance, accuracy, depth, creativity, and level "
    "of detail of their responses. Begin your evaluation by comparing the two responses and "
    "provide a short explanation. Avoid any position biases and ensure that the order in which the "
    "responses were presented does not influence your decision. Do not allow the length of the "
    "responses to influence your evaluation. Do not favor certain names of the assistants. Be as "
    "objective as possible. After providing your explanation, output your final verdict by "
    'strictly following this format: "[[A]]" if assistant A is better, "[[B]]" if assistant B is '
    'better, and "[[C]]" for a tie.'
)
_MT_USER = (
    "[User Question]\n{question}\n\n[The Start of Assistant A's Answer]\n{answer_a}\n[The End of "
    "Assistant A's Answer]\n\n[The Start of Assistant B's Answer]\n{answer_b}\n[The End of "
    "Assistant B's Answer]"
)

_ALPACA = (
    "You are a highly efficient assistant, who evaluates and selects the best large language model "
    "(LLMs) based on the quality of their responses to a given instruction. This process will be "
    "used to create a leaderboard reflecting the most accurate and human-preferred answers."
)
_ALPACA_USER = (
    "I require a leaderboard for various large language models. I'll provide you with prompts "
    "given to these models and their corresponding outputs. Your task is to assess these "
    "responses, and select the model that produces the best output from a human perspective.\n\n"
    '## Instruction\n\n{\n    "instruction": """{question}""",\n}\n\n'
    "## Model Outputs\n\nHere are the unordered outputs from the models. Each output is associated "
    "with a specific model, identified by a unique model identifier.\n\n"
    '{\n    {\n        "model_identifier": "m",\n        "output": """{answer_a}"""\n    },\n'
    '    {\n        "model_identifier": "M",\n        "output": """{answer_b}"""\n    }\n}\n\n'
    "## Task\n\nEvaluate the models based on the "
    "quality and relevance of their outputs, and select the model that generated the best output. "
    "Answer by providing the model identifier of the best model. We will use your output as the "
    "name of the best model, so make sure your output only contains one of the following model "
    "identifiers and nothing else (no quotes, no spaces, no new lines, ...): m or M.\n\n## Best "
    "Model Identifier"
)


def _only_label(reply: str) -> str | None:
    """Read AlpacaEval's reply: the identifier and nothing else; case tells the two apart."""
    said = reply.strip()
    return said if said in ("m", "M") else None


PAIR_PROTOCOLS: Mapping[str, PairProtocol] = {
    protocol.name: protocol
    for protocol in (
        PairProtocol(
            "arena_hard",
            PairPrompt(_INTRODUCTION + _OWN_ANSWER + _CRITERIA, _USER, _ARENA),
            _ARENA_GAMES,
            each,
        ),
        PairProtocol(
            "arena_creative",
            PairPrompt(_INTRODUCTION + _NO_ANSWER + _CRITERIA, _USER, _ARENA),
            _ARENA_GAMES,
            each,
        ),
        PairProtocol(
            "mt_bench",
            PairPrompt(
                _MT_BENCH, _MT_USER,
                "lm-sys/FastChat at 0e6d3e4, fastchat/llm_judge/data/judge_prompts.jsonl, pair-v2 "
                "(Apache-2.0)",
            ),
            {"A": Game(0.0, 1.0), "B": Game(1.0, 1.0), "C": Game(0.5, 1.0)},
            agreed,
        ),
        PairProtocol(
            "alpaca_eval",
            PairPrompt(
                _ALPACA, _ALPACA_USER,
                "tatsu-lab/alpaca_eval at cd543a1, evaluators_configs/alpaca_eval_clf_gpt4_turbo "
                "(Apache-2.0)",
            ),
            {"m": Game(0.0, 1.0), "M": Game(1.0, 1.0)},
            each,
            _only_label,
        ),
    )
}  # fmt: skip


def find_pair_protocol(name: str) -> PairProtocol:
    """Return the protocol called `name`.

    Raises:
        UnknownNameError: there is none; the near names are given.
    """
    if name not in PAIR_PROTOCOLS:
        raise UnknownNameError.near("pairwise protocol", name, PAIR_PROTOCOLS)
    return PAIR_PROTOCOLS[name]
