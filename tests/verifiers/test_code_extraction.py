"""Which part of an answer is the program."""

from __future__ import annotations

import pytest

from cascade.verifiers.code.fences import Found, extract_program, find_program


def test_the_last_block_of_the_language_counts() -> None:
    text = "First:\n```python\na\n```\nBetter:\n```python\nb\n```\nOutput:\n```\n42\n```\nthanks"
    assert extract_program(text) == "b\n"


def test_tags_are_compared_without_case_and_version() -> None:
    for tag in ("python", "Python3", "py", "{.python}", "python title=x", "PYTHON,linenos"):
        assert extract_program(f"```{tag}\nx\n```") == "x\n"
    assert find_program("```c++\nx\n```", ("cpp20", "python")) == Found("cpp20", "x\n")
    assert find_program("```cpp17\nx\n```", ("cpp20", "cpp17")) == Found("cpp17", "x\n")


def test_an_untagged_block_counts_only_where_none_is_tagged() -> None:
    assert find_program("```\nx\n```\n```\ny\n```", ("java", "python")) == Found("java", "y\n")
    assert extract_program("```python\nx\n```\n```\ny\n```") == "x\n"


def test_a_block_in_another_language_is_no_answer() -> None:
    assert extract_program("```javascript\nx\n```") is None


def test_what_stands_in_the_reasoning_never_counts() -> None:
    assert extract_program("<think>\n```python\nx\n```\n</think>\nI am not sure.") is None
    assert extract_program("<think>\n```python\nx\n```") is None
    assert extract_program("<think>a</think>\n```python\nx\n```") == "x\n"


def test_a_block_that_never_closes_was_cut_off() -> None:
    """A half program must not be judged, and neither must an example that stood before it."""
    assert extract_program("```python\nexample\n```\n```python\nreal = 1\nprint(") is None
    assert extract_program("```python\nx\n```\n```") == "x\n"


def test_the_indentation_of_a_list_is_taken_away_and_no_more() -> None:
    text = "1. So:\n   ```python\n   def f():\n       return '''\n\n  x'''\n   ```"
    assert extract_program(text) == "def f():\n    return '''\n\nx'''\n"


def test_longer_fences_hold_shorter_ones_and_tildes_work() -> None:
    assert extract_program("````python\ns = '''\n```\n'''\n````") == "s = '''\n```\n'''\n"
    assert extract_program("~~~py\nx\n~~~") == "x\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "print(1)",
        "`print(1)`",
        "```python print(1)```",
        "```python\n\n```",
        "\x00\udc80",
        "```" * 999,
    ],
)
def test_no_block_is_no_answer(text: str) -> None:
    assert extract_program(text) is None


def test_carriage_returns_and_odd_separators_stay_inside() -> None:
    assert extract_program("```python\r\na\r\nb\r\n```\r\n") == "a\nb\n"
    assert extract_program("```python\ns = 'a\u2028b\x0c'\n```") == "s = 'a\u2028b\x0c'\n"
