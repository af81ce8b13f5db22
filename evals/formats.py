r"""The forms in which stored outputs are read: ours, and those that benchmarks publish.

A format turns one row of a file into `Output`s. Some hold whole responses, others only the answer
that the publisher's script reads out of them; each says which, and whether its rows carry the gold
answer or the publisher's own verdict. To add a format, add a function to `FORMATS`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cascade.envs.base import written
from cascade.envs.rows import Row
from cascade.envs.trajectories import FORMAT as TRAJECTORY
from cascade.envs.trajectories import trajectory_of_json
from cascade.errors import ConfigError, DataError, UnknownNameError
from cascade.evals.episodes import read_tau2, tau2_rows
from cascade.evals.foreign import FOREIGN
from cascade.evals.stored import Format, Output, Reader
from cascade.evals.stored import field_of as _field
from cascade.types import StopReason
from cascade.verifiers.choice import Style, extract_letter

__all__ = ["FORMATS", "Format", "Output", "Reader", "find_format", "guess_format"]

_IDS = ("id", "task_id")
_RESPONSES = ("response", "output", "text")


def _rows(row: Row, index: int, argument: str) -> Iterator[Output]:
    response = _one_of(row, _RESPONSES, "response")
    if not isinstance(response, str):
        raise DataError(f"field 'response' must be text, got {type(response).__name__}")
    sample = row.get("sample")
    if sample is not None and (not isinstance(sample, int) or isinstance(sample, bool)):
        raise DataError(f"field 'sample' must be a whole number, got {sample!r:.40}")
    yield Output(_id(row), response, sample, empty=not response.strip())


def _trajectories(row: Row, index: int, argument: str) -> Iterator[Output]:
    """An episode's last message; with `graded` its verdict counts as it was, without a judge."""
    if argument not in ("", "graded"):
        raise ConfigError(f"--format trajectories takes `graded` or nothing, got {argument!r}")
    episode = trajectory_of_json(row)
    reason = episode.verdict.reason
    yield Output(
        episode.task_id,
        episode.response,
        episode.sample,
        truncated=episode.stop_reason is StopReason.LENGTH,
        empty=bool(episode.completions) and not episode.response.strip(),
        fault=None if episode.completions else reason or "no completion",
        task=episode.metadata.get("task"),
        published=None if episode.verdict.is_fault else episode.verdict.reward,
        num_tokens=sum(c.num_tokens or 0 for c in episode.completions),
        verdict=episode.verdict if argument else None,
        metadata=episode.task_metadata if argument else {},
        messages=episode.messages,
    )


_GSM_ID = re.compile(r"gsm8k-main-test-#(\d+)")


def _zeroeval(row: Row, index: int, argument: str) -> Iterator[Output]:
    """`output` is a text or a list of them; the answer is the field `answer` of the JSON in it."""
    task_id = str(_field(row, "id"))
    match = _GSM_ID.fullmatch(task_id)
    texts = _field(row, "output")
    matched = row.get("matched")
    for text in [texts] if isinstance(texts, str) else texts:
        if not isinstance(text, str):
            raise DataError(f"field 'output' must be text, got {type(text).__name__}")
        published = float(matched is True) if isinstance(matched, bool | str) else None
        yield Output(
            match[1] if match else task_id,
            _json_answer(text),
            published=published,
            empty=not text.strip(),
        )


def _json_answer(text: str) -> str | None:
    """Return the field `answer` of the first JSON object in the text, by ZeroEval's steps.

    Source: WildEval/ZeroEval at 8c1485e, src/evaluation/eval_utils.py: parse the first object with
    balanced braces; failing that, look for `"answer": …` with and without quotes.
    """
    answer = _first_object(text).get("answer")
    if answer is not None:
        return str(answer)
    for pattern in _ANSWER_FIELDS:
        if found := pattern.search(text):
            return found[1]
    return None


_ANSWER_FIELDS = (
    re.compile(r'"answer"\s*:\s*"([^"]*)"'),
    re.compile(r'"answer"\s*:\s*([^,\s]*)'),
    re.compile(r"answer\s*:\s*([^,\s]*)"),
)


def _first_object(text: str) -> Mapping[str, Any]:
    start, depth = text.find("{"), 0
    for position in range(max(start, 0), len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if start >= 0 and depth == 0:
            try:
                value = json.loads(text[start : position + 1].replace("\n", ""))
            except (json.JSONDecodeError, RecursionError):
                return {}
            return value if isinstance(value, dict) else {}
    return {}


def _gsm8k_openai(row: Row, index: int, argument: str) -> Iterator[Output]:
    """A row holds the solutions of four systems; the argument names one."""
    systems = sorted(key for key, value in row.items() if isinstance(value, Mapping))
    if argument not in systems:
        raise ConfigError(f"--format gsm8k_openai:SYSTEM needs one of {', '.join(systems)}")
    solution = str(_field(row[argument], "solution"))
    gold = str(_field(row, "ground_truth")).rpartition("A:")[2].strip()
    answer = solution.rpartition("A:")[2].strip() if "A:" in solution else None
    flag = row[argument].get("is_correct")
    published = float(flag) if isinstance(flag, bool) else None
    yield Output(str(index), answer, gold=gold, published=published, empty=not solution.strip())


def _tora(row: Row, index: int, argument: str) -> Iterator[Output]:
    """`pred` holds what the program printed, or the boxed answer; one entry a sample."""
    predictions = _field(row, "pred")
    if not isinstance(predictions, list):
        raise DataError("field 'pred' must be a list")
    gold = row.get("gt")
    for prediction in predictions:
        text = str(prediction).strip() if prediction is not None else ""
        yield Output(str(_field(row, "idx")), text or None, gold=gold, empty=not text)


def _mmlu_pro(row: Row, index: int, argument: str) -> Iterator[Output]:
    """The letter of the first "answer is (X)", as the data set's script for local models reads it.

    With the argument `api` it is read by the longer chain of the script for API models.
    """
    if argument not in ("", "api"):
        raise ConfigError(f"--format mmlu_pro takes no argument, or `api`; got {argument!r}")
    style: Style = "answer_is_or_last" if argument == "api" else "answer_is"
    text = _field(row, "output") if row.get("output") is not None else ""
    gold = row.get("answer")
    reference = None
    if gold is not None:
        reference = {"answer": gold, "options": row.get("options") or 10}
    letter = extract_letter(str(text), style)
    published = float(row["pred"] == gold) if "pred" in row and gold is not None else None
    yield Output(
        str(_field(row, "question_id")),
        letter,
        gold=reference,
        published=published,
        empty=not str(text).strip(),
    )


def _nemo_skills(row: Row, index: int, argument: str) -> Iterator[Output]:
    """`generation` is the response; rows without an id are numbered from 0 in each file."""
    response = str(_field(row, "generation"))
    name = next((row[key] for key in ("id", "problem_id", "unique_id") if key in row), index)
    flag = row.get("symbolic_correct", row.get("is_correct"))
    yield Output(
        str(name),
        response,
        gold=row.get("expected_answer"),
        published=float(flag) if isinstance(flag, bool) else None,
        empty=not response.strip(),
        num_tokens=_count(row.get("num_generated_tokens")),
    )


def _nemo_gym(row: Row, index: int, argument: str) -> Iterator[Output]:
    """The texts and calls of the response; reasoning items are left out, as the server does."""
    response = _field(row, "response")
    try:
        items = response["output"]
        parts = [p for item in items if item.get("type") == "message" for p in item["content"]]
        text = "".join(part.get("text", "") for part in parts)
        calls = [
            (item["name"], item["arguments"])
            for item in items
            if item.get("type") == "function_call"
        ]
    except (TypeError, KeyError, AttributeError) as error:
        raise DataError("field 'response' must be a response in the OpenAI form") from error
    text = _with_calls(text, calls)
    reward = row.get("reward")
    yield Output(
        str(row.get("uuid") or row.get("id") or row.get("_ng_task_index", index)),
        text,
        gold=_nemo_gym_gold(row),
        published=float(reward) if isinstance(reward, int | float) else None,
        truncated=response.get("incomplete_details") is not None,
        empty=not text.strip(),
    )


_GOLD_FIELDS = {
    "instruction_id_list": ("instruction_id_list", "kwargs"),
    "schema_str": ("schema_str", "schema_type"),
    "expected_action": ("expected_action",),
    "expected_answers": ("expected_answers",),
}
"""The field that tells a row's environment -> what its verifier needs."""


def _nemo_gym_gold(row: Row) -> Any:
    about = row.get("verifier_metadata")
    fields = {**row, **about} if isinstance(about, Mapping) else row
    for mark, names in _GOLD_FIELDS.items():
        if fields.get(mark) is not None:
            tools = row.get("responses_create_params", {}).get("tools")
            return {**{name: fields.get(name) for name in names}, "tools": tools or []}
    gold = row.get("expected_answer")
    if isinstance(gold, str) and re.fullmatch("[A-J]", gold):
        return {"answer": gold, "options": _options_asked(row)}
    return gold


def _with_calls(text: str, calls: Sequence[tuple[str, Any]]) -> str:
    """A message with calls (name, arguments) as the text that verifiers read."""
    made = [{"function": {"name": name, "arguments": arguments}} for name, arguments in calls]
    return written({"role": "assistant", "content": text, "tool_calls": made})


def _options_asked(row: Row) -> int:
    """How many options the question lists, as lines that begin with a letter."""
    if isinstance(row.get("options"), list):
        return len(row["options"])
    asked = json.dumps(row.get("responses_create_params", {}).get("input", ""))
    return max(2, len(set(re.findall(r"\\n([A-J])[:.)] ", asked))))


def _qwq(row: Row, index: int, argument: str) -> Iterator[Output]:
    """`gen` holds the samples of `prompt`; a prompt may also be spread over several rows."""
    texts = _field(row, "gen")
    if not isinstance(texts, list):
        raise DataError("field 'gen' must be a list of texts")
    for text in texts:
        yield Output(
            str(_field(row, "prompt")),
            str(text),
            gold=row.get("answer"),
            empty=not str(text).strip(),
        )


def _prompts(row: Row, index: int, argument: str) -> Iterator[Output]:
    """IFEval's and IFBench's rows: `prompt` and `response`, with a label in files of results."""
    label = row.get("follow_all_instructions")
    response = str(_field(row, "response"))
    yield Output(
        str(_field(row, "prompt")),
        response,
        published=float(label) if isinstance(label, bool) else None,
        empty=not response.strip(),
    )


def _bfcl(row: Row, index: int, argument: str) -> Iterator[Output]:
    """BFCL's result files: `result` is the text, or a list of ``{function: arguments}``."""
    result = _field(row, "result")
    if isinstance(result, list):
        try:
            calls = [call for item in result for call in item.items()]
        except AttributeError as error:
            raise DataError("field 'result' must be text or a list of calls") from error
        result = _with_calls("", calls)
    yield Output(_id(row), str(result), empty=not str(result).strip())


FORMATS: Mapping[str, Format] = {
    form.name: form
    for form in (
        Format("rows", "{id, response[, sample]}; also task_id, output, text", _rows),
        Format(
            "trajectories",
            "trajectories.jsonl of a run of ours; trajectories:graded counts its verdicts",
            _trajectories,
        ),
        Format(
            "zeroeval",
            "WildEval/ZeroEval: {id, output}, the answer is a field of the JSON in it",
            _zeroeval,
            is_answer=True,
        ),
        Format(
            "gsm8k_openai",
            "openai/grade-school-math: gsm8k_openai:SYSTEM, the answer follows the last 'A:'",
            _gsm8k_openai,
            is_answer=True,
        ),
        Format("gsm8k_tora", "microsoft/ToRA: {idx, pred, gt}", _tora, is_answer=True),
        Format(
            "mmlu_pro",
            "TIGER-AI-Lab/MMLU-Pro: {question_id, output}, the first 'answer is (X)'; mmlu_pro:api "
            "reads API models' files",
            _mmlu_pro,
            is_answer=True,
        ),
        Format("nemo_skills", "NVIDIA/NeMo-Skills: {generation, expected_answer}", _nemo_skills),
        Format("nemo_gym", "NVIDIA-NeMo/Gym rollouts: {response, expected_answer}", _nemo_gym),
        Format(
            "prompts",
            "google-research IFEval, allenai/IFBench: {prompt, response}",
            _prompts,
            is_by_prompt=True,
        ),
        Format(
            "tau2",
            "sierra-research/tau2-bench results; tau2:recorded needs no data base",
            read_tau2,
            has_gold=True,
            load=tau2_rows,
        ),
        Format("bfcl", "ShishirPatil/gorilla BFCL results: {id, result}", _bfcl),
        Format("qwq", "QwenLM/QwQ: {prompt, gen}", _qwq, is_by_prompt=True),
        *FOREIGN,
    )
}


def find_format(name: str) -> tuple[Format, str]:
    """Return the format of ``NAME`` or ``NAME:ARGUMENT``, and the argument.

    Raises:
        UnknownNameError: there is none of that name.
    """
    base, _, argument = name.partition(":")
    if base not in FORMATS:
        raise UnknownNameError.near("format", base, FORMATS)
    return FORMATS[base], argument


def guess_format(row: Row) -> Format:
    """Tell our own two forms apart; a foreign form must be named."""
    return FORMATS["trajectories" if row.get("format") == TRAJECTORY else "rows"]


def _one_of(row: Row, names: tuple[str, ...], what: str) -> Any:
    """Return the one field of `names` that is there; two that differ are ambiguous."""
    found = [name for name in names if row.get(name) is not None]
    if not found:
        raise DataError(
            f"field {what!r} is missing (also accepted: {', '.join(names[1:])}); the row has "
            f"{', '.join(sorted(row)) or 'no field'}"
        )
    if len({json.dumps(row[name]) for name in found}) > 1:
        raise DataError(f"fields {' and '.join(found)} differ: which is the {what}?")
    return row[found[0]]


def _id(row: Row) -> str:
    name = _one_of(row, _IDS, "id")
    if isinstance(name, bool) or not isinstance(name, str | int):
        raise DataError(f"field 'id' must be text or a whole number, got {name!r:.40}")
    return str(name)


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0
