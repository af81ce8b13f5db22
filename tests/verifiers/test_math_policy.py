"""The options of the math policy, and what golds and references are accepted."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from cascade.errors import ConfigError, DataError
from cascade.types import VerdictStatus
from cascade.verifiers import math


def reward(prediction: str, gold: str, **options: Any) -> float:
    return math.verify(rf"\boxed{{{prediction}}}", gold, policy=math.Policy(**options)).reward


def test_final_form_may_be_waived() -> None:
    """`any` evaluates what the default refuses."""
    assert reward(r"17 \times 23", "391") == 0.0
    assert reward(r"17 \times 23", "391", final_form="any") == 1.0
    assert reward(r"17 \times 24", "391", final_form="any") == 0.0
    assert reward(r"10 * 2^9", "5120", final_form="any") == 1.0


def test_final_form_may_ask_for_lowest_terms() -> None:
    """`lowest_terms` refuses 2/4 for 1/2."""
    assert reward(r"\frac{2}{4}", "1/2") == 1.0
    assert reward(r"\frac{2}{4}", "1/2", final_form="lowest_terms") == 0.0
    assert reward(r"\frac{1}{2}", "1/2", final_form="lowest_terms") == 1.0


def test_units_may_be_ignored_or_required() -> None:
    """The default allows a missing unit and refuses another one."""
    assert reward("10 cm", "10 m") == 0.0
    assert reward("10 cm", "10 m", units="ignore") == 1.0
    assert reward("10", "10 m") == 1.0
    assert reward("10", "10 m", units="required") == 0.0


def test_a_percent_sign_changes_the_value_unless_the_policy_says_otherwise() -> None:
    """GSM8K and MATH ask "what percent" and store the bare number."""
    assert reward(r"9\%", "9") == 0.0
    assert reward(r"9\%", "9", percent="sign_optional") == 1.0
    assert reward(r"9\%", "0.09", percent="sign_optional") == 1.0
    assert reward(r"9\%", "90", percent="sign_optional") == 0.0


def test_the_tolerance_follows_the_precision_of_the_gold() -> None:
    """Half a unit of the last place, and never more than one percent."""
    assert reward("41.84", "41.8") == 1.0
    assert reward("41.86", "41.8") == 0.0
    assert reward("0.52", "0.5") == 0.0
    assert reward("41.84", "41.8", tolerance="exact") == 0.0
    assert reward("41.9", "41.8", tolerance=0.01) == 1.0
    assert reward("42.9", "41.8", tolerance=0.01) == 0.0
    assert reward("391.2", "391", tolerance=1e-3) == 1.0


def test_how_many_digits_may_stand_for_an_exact_value_is_an_option() -> None:
    """Six by default; zero refuses decimals."""
    assert reward("3.14159", r"\pi") == 1.0
    assert reward("3.14159", r"\pi", decimal_digits=0) == 0.0
    assert reward("3.14", r"\pi", decimal_digits=3) == 1.0
    assert reward("0.333", "1/3", decimal_digits=3) == 1.0


@pytest.mark.parametrize(
    ("prediction", "limit"),
    [("1" * 1500, "digits"), ("x+" * 1500 + "x", "characters"), ("(" * 60 + "1", "nested")],
)
def test_an_oversized_prediction_is_wrong_and_the_limit_is_named(
    prediction: str, limit: str
) -> None:
    """Nothing reads it; a gold within the limits cannot be meant."""
    verdict = math.verify(prediction, "5", policy=math.Policy(extraction="whole"))
    assert verdict.status is VerdictStatus.WRONG
    assert limit in verdict.reason


def test_a_gold_beyond_the_limits_lifts_them() -> None:
    """The limits are about what nobody could mean."""
    number = "7" * 1500
    assert math.verify(rf"\boxed{{{number}}}", number).reward == 1.0


@pytest.mark.parametrize("gold", ["", "  ", "$$", None, [], True])
def test_a_gold_that_no_response_can_state_raises(gold: Any) -> None:
    """Bad data is an error of the caller, named as it was given."""
    with pytest.raises(DataError, match="gold"):
        math.verify("5", gold)


def test_verify_many_names_the_pair_with_the_bad_gold() -> None:
    """A whole file is not searched for one bad row."""
    with pytest.raises(DataError, match="pair 1"):
        math.verify_many([("5", "5"), ("5", "")])


@pytest.mark.parametrize(
    ("field", "value"),
    [("boxes", "middle"), ("final_form", True), ("tolerance", 2.0), ("tolerance", "loose")],
)
def test_an_unknown_option_is_refused(field: str, value: Any) -> None:
    """The message names the field and the value."""
    with pytest.raises(ConfigError, match=field):
        math.Policy(**{field: value})


class TestMathVerifier:
    def test_it_reads_text_numbers_and_mappings(self) -> None:
        """Task files hold any of them."""
        verify = math.MathVerifier()
        for reference in ("5", 5, 5.0, {"answer": "5"}, {"answer": 5}):
            assert verify(r"\boxed{5}", reference).reward == 1.0
            assert verify(r"\boxed{6}", reference).reward == 0.0

    def test_it_survives_pickling_and_compares_by_value(self) -> None:
        """Trainers send verifiers to other processes."""
        verify = math.MathVerifier(policy=math.Policy(percent="sign_optional"))
        copy = pickle.loads(pickle.dumps(verify))
        assert copy == verify
        assert copy(r"\boxed{9\%}", "9").reward == 1.0

    @pytest.mark.parametrize("reference", [None, {}, {"gold": "5"}, {"answer": ""}, ["5"]])
    def test_a_reference_without_an_answer_raises(self, reference: Any) -> None:
        """No response could satisfy it."""
        with pytest.raises(DataError):
            math.MathVerifier()(r"\boxed{5}", reference)
