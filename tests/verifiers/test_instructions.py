"""Loading, judging and pooling: everything about instructions but the rules themselves."""

from __future__ import annotations

import pickle
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cascade.errors import ConfigError, DataError, UnknownNameError
from cascade.types import VerdictStatus
from cascade.verifiers import instructions
from cascade.verifiers.instructions import RULES, Constraint, load_constraints, verify

WORDS: dict[str, Any] = {
    "id": "length_constraints:number_words",
    "kwargs": {"num_words": 3, "relation": "at least"},
}
NO_COMMA: dict[str, Any] = {"id": "punctuation:no_comma", "kwargs": {}}


def test_every_published_id_has_a_rule() -> None:
    """25 ids of IFEval, 58 of IFBench, 29 of the training sets, one of VerifIF."""
    families: dict[str, int] = {}
    for id_ in RULES:
        families[id_.split(":")[0]] = families.get(id_.split(":")[0], 0) + 1
    assert families == {
        "keywords": 11, "letters": 2, "sentence": 3, "words": 13, "count": 13,
        "length_constraints": 4, "paragraphs": 2, "ratio": 5, "detectable_content": 2,
        "detectable_format": 9, "format": 14, "language": 1, "change_case": 3, "punctuation": 3,
        "startend": 3, "first_word": 2, "last_word": 2, "combination": 2, "copy": 4, "new": 1,
        "repeat": 3, "custom": 11,
    }  # fmt: skip
    assert len(RULES) == 25 + 58 + 29 + 1


def test_the_forms_of_a_row_are_read_alike() -> None:
    ids, kwargs = [WORDS["id"], NO_COMMA["id"]], [WORDS["kwargs"], None]
    listed = {"instruction_id_list": ids, "kwargs": kwargs, "prompt": "Say something."}
    expected = load_constraints([WORDS, NO_COMMA])
    assert expected == (Constraint(WORDS["id"], {"num_words": 3, "relation": "at least"}),
                        Constraint("punctuation:no_comma", {}))  # fmt: skip
    assert load_constraints(listed) == expected
    assert load_constraints({"id": 7, "verifier_metadata": listed}) == expected
    literal = repr([{"instruction_id": ids, "kwargs": kwargs}])
    assert load_constraints({"ground_truth": literal}) == expected
    assert load_constraints(expected) == expected
    assert load_constraints(WORDS) == expected[:1]


def test_arguments_that_are_null_are_absent() -> None:
    """Published rows list every argument of every rule, most of them null."""
    kwargs = {"N": 5.0, "keyword": None, "num_words": None}
    (constraint,) = load_constraints([{"id": "count:numbers", "kwargs": kwargs}])
    assert constraint.arguments == {"N": 5}


def test_a_keyword_may_be_a_list_of_one() -> None:
    """Some released rows of count:count_increment_word have it so."""
    kwargs = {"keyword1": ["help"], "keyword2": ["dump"]}
    row = {"id": "count:count_increment_word", "kwargs": kwargs}
    assert verify("help dump dump", [row]).reward == 1.0


def test_an_argument_that_the_wording_leaves_out_is_accepted() -> None:
    kwargs = {"keyword": "owl", "frequency": 2, "relation": "less than"}
    row = {"id": "keywords:word_count_different_numbers", "kwargs": kwargs}
    assert verify("owl owl", [row]).reward == 1.0


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([{"id": "keywords:existance", "kwargs": {}}], "did you mean 'keywords:existence'"),
        ([{"id": "keywords:frequency", "kwargs": {"keyword": "a"}}], "'frequency' is missing"),
        ([{"id": "count:numbers"}], "'N' is missing"),
        ([{"id": "count:numbers", "kwargs": {"N": "5"}}], "N must be a finite number"),
        ([{"id": "count:numbers", "kwargs": {"N": True}}], "N must be a finite number"),
        ([{"id": "count:numbers", "kwargs": {"N": 2.5}}], "N must be an integer of at least 0"),
        ([{"id": "count:numbers", "kwargs": {"N": -1}}], "N must be an integer of at least 0"),
        ([{"id": "count:numbers", "kwargs": {"N": float("nan")}}], "N must be a finite number"),
        ([{"id": "punctuation:no_comma", "kwargs": {"N": 1}}], "unknown argument 'N'"),
        ([{"id": "punctuation:no_comma", "kwargs": [1]}], "kwargs must be a mapping"),
        ([{"id": "keywords:existence", "kwargs": {"keywords": []}}], "keywords must be a list"),
        ([{"id": "keywords:existence", "kwargs": {"keywords": "ab"}}], "keywords must be a list"),
        ([{"id": "keywords:existence", "kwargs": {"keywords": [1]}}], "a string that is not empty"),
        ([{"id": "copy:copy", "kwargs": {"prompt_to_repeat": " "}}], "a string that is not empty"),
        ([{"id": "language:response_language", "kwargs": {"language": "xx"}}], "one of the codes"),
        ([{"kwargs": {}}], "needs an 'id'"),
        ([], "no instruction to check"),
        ("punctuation:no_comma", "expected constraints"),
        (
            {"instruction_id_list": ["punctuation:no_comma"], "kwargs": []},
            "1 instruction ids but 0",
        ),
        ({"instruction_id_list": ["punctuation:no_comma"]}, "kwargs must be a list"),
        ({"key": 12, "instruction_id_list": ["x"], "kwargs": [{}]}, "row 12: unknown"),
        ({"ground_truth": "__import__('os')"}, "not a literal"),
        ({"ground_truth": "[1, 2]"}, "a list of one mapping"),
    ],
)
def test_what_cannot_be_checked_does_not_load(row: Any, message: str) -> None:
    """Fail closed: nothing unknown passes, nothing missing is drawn at random."""
    with pytest.raises(DataError, match=message):
        load_constraints(row)


def test_all_followed_is_correct_and_one_missed_is_wrong() -> None:
    assert verify("one two three", [WORDS, NO_COMMA]).status is VerdictStatus.CORRECT
    verdict = verify("one, two three", [WORDS, NO_COMMA])
    assert verdict.status is VerdictStatus.WRONG
    assert verdict.parts == {WORDS["id"]: 1.0, NO_COMMA["id"]: 0.0}
    assert verdict.reason == "not followed: punctuation:no_comma (Use no commas at all.)"


def test_the_fraction_is_the_share_of_instructions() -> None:
    verdict = verify("one, two three", [WORDS, NO_COMMA], reward="fraction")
    assert (verdict.status, verdict.reward) == (VerdictStatus.PARTIAL, 0.5)
    assert verify("one, two", [WORDS, NO_COMMA], reward="fraction").status is VerdictStatus.WRONG


def test_each_of_two_equal_ids_counts() -> None:
    """17 prompts of IFEval repeat an id; a mapping by id alone would drop one."""
    more = {"id": WORDS["id"], "kwargs": {"num_words": 5, "relation": "less than"}}
    verdict = verify("one two", [WORDS, more])
    assert verdict.parts == {WORDS["id"]: 0.0, f"{WORDS['id']}#2": 1.0}


@pytest.mark.parametrize("mode", ["strict", "loose"])
def test_an_unfinished_response_earns_nothing(mode: Any) -> None:
    """Cut off at the token budget: reward 0, and every instruction counts as missed."""
    verdict = verify("one two three", [WORDS, NO_COMMA], mode=mode, finished=False)
    assert (verdict.status, verdict.reward) == (VerdictStatus.NO_ANSWER, 0.0)
    assert set(verdict.parts.values()) == {0.0}


@pytest.mark.parametrize("response", ["", " \n\t", "<think>one two three", "<think>x</think> \n"])
def test_without_an_answer_no_instruction_is_followed(response: str) -> None:
    """Also not those that an empty text would satisfy, as "no commas"."""
    verdict = verify(response, [NO_COMMA], reward="fraction")
    assert (verdict.status, verdict.parts) == (VerdictStatus.NO_ANSWER, {NO_COMMA["id"]: 0.0})


def test_reasoning_is_not_judged() -> None:
    assert verify("<think>well, so</think>one two three", [NO_COMMA]).reward == 1.0


def test_loose_accepts_any_of_the_eight_variants() -> None:
    """First line, last line, both, and asterisks may go; strict judging keeps them."""
    end = {"id": "startend:end_checker", "kwargs": {"end_phrase": "the end"}}
    text = "Sure, here it is:\n\n*a tale* of **the end**\nHope this helps!"
    assert verify(text, [end]).reward == 0.0
    assert verify(text, [end], mode="loose").reward == 1.0
    assert len(list(instructions.variants("a*\nb\nc"))) == 6
    assert list(instructions.variants("a")) == ["a"]


def test_loose_variants_are_chosen_for_each_instruction_alone() -> None:
    first = {"id": "first_word:first_word_answer", "kwargs": {"first_word": "Sure"}}
    last = {"id": "last_word:last_word_answer", "kwargs": {"last_word": "apple"}}
    text = "Sure\napple\nBye"
    assert verify(text, [first, last], mode="loose").reward == 1.0


def test_a_rule_that_breaks_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing verifier is never reward 0 for a wrong answer."""
    broken = dict(RULES)
    broken[NO_COMMA["id"]] = RULES["count:numbers"]
    tables = {"published": broken}
    monkeypatch.setattr("cascade.verifiers.instructions.judging.TABLES", tables)
    assert verify("a b", [NO_COMMA]).is_fault


def test_settings_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ConfigError, match="mode must be one of"):
        verify("a", [NO_COMMA], mode="lose")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="reward must be one of"):
        instructions.InstructionVerifier(reward="sum")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="standard must be one of"):
        instructions.InstructionVerifier(standard="lax")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="did you mean"):
        instructions.draw("keywords:existance", random.Random(0))


def test_a_verifier_travels_to_a_worker_and_runs_in_any_thread() -> None:
    verifier = pickle.loads(pickle.dumps(instructions.InstructionVerifier(reward="fraction")))
    row = {"instruction_id_list": [WORDS["id"], "change_case:english_lowercase"],
           "kwargs": [WORDS["kwargs"], {}]}  # fmt: skip
    texts = ["we walk to the river and rest", "No", "ONE TWO THREE"] * 20
    with ThreadPoolExecutor(8) as pool:
        rewards = [verdict.reward for verdict in pool.map(lambda t: verifier(t, row), texts)]
    assert rewards == [1.0, 0.0, 0.5] * 20


def test_accuracy_is_pooled_at_prompt_and_instruction_level() -> None:
    verdicts = [verify("one two three", [WORDS, NO_COMMA]), verify("one, two", [WORDS, NO_COMMA]),
                verify("", [NO_COMMA])]  # fmt: skip
    pooled = instructions.accuracy([*verdicts, type(verdicts[0]).fault("judge failed")])
    assert pooled == instructions.Accuracy(3, 5, 1 / 3, 2 / 5)
    with pytest.raises(ConfigError, match="no verdict"):
        instructions.accuracy([])


def test_describe_words_the_instruction() -> None:
    text = instructions.describe("keywords:frequency", keyword="owl", frequency=2.0,
                                 relation="at least")  # fmt: skip
    assert text == "Let the word owl appear at least 2 times in your response."
    with pytest.raises(DataError, match="'frequency' is missing"):
        instructions.describe("keywords:frequency", keyword="owl", relation="at least")
