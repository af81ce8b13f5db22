r"""The worker processes: killed at their deadline, usable from anywhere, gone with their caller."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cascade.types import Verdict, VerdictStatus
from cascade.verifiers import math
from cascade.verifiers.pool import WorkerFailedError, WorkerPool

SURD = (r"\boxed{\sqrt{8}}", r"2\sqrt{2}")
ENDLESS = r"\boxed{\int_0^{\infty} \frac{\sin(x^{17}+x)}{x^{x}+\ln(1+x^{x})} dx}"
ENDLESS_GOLD = r"\int_0^{1} \frac{\sin(x^{19}-x)}{x^{x}-\ln(2+x^{x})} dx"


def test_a_comparison_without_end_is_a_fault_within_its_deadline() -> None:
    """The judge ran out of its time: that says nothing about the answer."""
    math.verify(*SURD)
    started = time.monotonic()
    verdict = math.verify(ENDLESS, ENDLESS_GOLD, timeout_seconds=1.0)
    assert verdict.status is VerdictStatus.FAULT
    assert "1 s" in verdict.reason
    assert time.monotonic() - started < 10
    assert math.verify(*SURD).status is VerdictStatus.CORRECT


def test_a_fault_is_not_remembered() -> None:
    """A retry is a new attempt."""
    first = math.verify(ENDLESS, ENDLESS_GOLD, timeout_seconds=0.2)
    second = math.verify(ENDLESS, ENDLESS_GOLD, timeout_seconds=0.3)
    assert "0.2 s" in first.reason
    assert "0.3 s" in second.reason


def test_threads_get_the_same_verdicts_as_the_main_thread() -> None:
    """No signals are involved, so no thread is special."""
    cases = [(rf"\boxed{{\sqrt{{{n * n * 2}}}}}", rf"{n}\sqrt{{2}}") for n in range(2, 12)]
    with ThreadPoolExecutor(10) as threads:
        verdicts = list(threads.map(lambda case: math.verify(*case), cases))
    assert [verdict.status for verdict in verdicts] == [VerdictStatus.CORRECT] * len(cases)


async def test_asyncio_programs_verify_in_threads() -> None:
    """The event loop stays free."""
    verdicts = await asyncio.gather(*(asyncio.to_thread(math.verify, *SURD) for _ in range(5)))
    assert all(verdict.reward == 1.0 for verdict in verdicts)


def test_verify_many_keeps_the_order_and_reports_progress() -> None:
    """Fast and slow pairs are settled at different times and come back in theirs."""
    pairs = [
        (rf"\boxed{{{prediction}}}", gold)
        for n in range(2, 10)
        for prediction, gold in ((str(n), "5"), (rf"\sqrt{{{2 * n * n}}}", r"5\sqrt2"))
    ]
    seen: list[tuple[int, int | None]] = []
    verdicts = math.verify_many(
        pairs, workers=2, progress=lambda done, total: seen.append((done, total))
    )
    assert [verdict.reward for verdict in verdicts] == [
        float(n == 5) for n in range(2, 10) for _ in range(2)
    ]
    assert seen == [(done, len(pairs)) for done in range(1, len(pairs) + 1)]


def test_verify_many_of_nothing_is_nothing() -> None:
    """An empty batch needs no worker."""
    assert math.verify_many([]) == []


def test_one_bad_answer_does_not_hold_up_the_batch() -> None:
    """Only its own verdict is a FAULT."""
    pairs = [(r"\boxed{\sqrt{18}}", r"3\sqrt{2}"), (ENDLESS, ENDLESS_GOLD), SURD]
    verdicts = math.verify_many(pairs, timeout_seconds=1.0, workers=2)
    assert [v.status.value for v in verdicts] == ["correct", "fault", "correct"]


def run_script(tmp_path: Path, body: str) -> str:
    script = tmp_path / "caller.py"
    script.write_text(textwrap.dedent(body), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_script_needs_no_main_guard(tmp_path: Path) -> None:
    """Workers never import the caller's main module."""
    output = run_script(
        tmp_path,
        r"""
        from cascade.verifiers import math
        print(math.verify(r"\boxed{\sqrt{8}}", r"2\sqrt{2}").status.value)
        """,
    )
    assert output == "correct"


def test_a_forked_child_starts_its_own_workers(tmp_path: Path) -> None:
    """Two processes on one pipe would read each other's verdicts."""
    output = run_script(
        tmp_path,
        r"""
        import os, sys
        from cascade.verifiers import math
        surd = (r"\boxed{\sqrt{8}}", r"2\sqrt{2}")
        math.verify(*surd)
        child = os.fork()
        ok = all(
            math.verify(r"\boxed{\sqrt{%d}}" % (2 * n * n), r"%d\sqrt{2}" % n).reward == 1.0
            for n in range(3, 30)
        )
        if child == 0:
            os._exit(0 if ok else 1)
        print(ok, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """,
    )
    assert output == "True 0"


def test_workers_end_with_a_caller_that_is_killed(tmp_path: Path) -> None:
    """No orphan is left, busy or idle."""
    script = tmp_path / "caller.py"
    script.write_text(
        textwrap.dedent(
            r"""
            import sys, time
            from cascade.verifiers import math
            math.verify(r"\boxed{\sqrt{8}}", r"2\sqrt{2}")
            print(*(worker.process.pid for worker in math._workers._idle), flush=True)
            time.sleep(60)
            """
        ),
        encoding="utf-8",
    )
    caller = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert caller.stdout is not None
    pids = [int(pid) for pid in caller.stdout.readline().split()]
    assert pids
    caller.kill()
    caller.wait()
    caller.stdout.close()
    deadline = time.monotonic() + 20
    while any(_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_alive(pid) for pid in pids)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_importing_the_verifier_loads_no_parser() -> None:
    """Programs that only need integers never pay for sympy, and nobody pays for torch."""
    code = (
        "import sys; from cascade.verifiers import math; "
        r"assert math.verify(r'\boxed{5}', '5').reward == 1; "
        "print([m for m in ('sympy', 'mpmath', 'math_verify', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


class TestPool:
    def test_a_worker_that_was_killed_while_idle_is_replaced(self) -> None:
        """A request that was never begun is not blamed."""
        pool = WorkerPool("cascade.verifiers.symbolic_worker", 1)
        pool.warm()
        process = pool._idle[0].process
        process.kill()
        process.wait()
        try:
            reply = pool.call(_request("5"), 10.0)
            assert b'"difference": null' in reply
        finally:
            pool.close()

    def test_a_module_that_does_not_start_is_named(self) -> None:
        """The message shows the command to try by hand."""
        pool = WorkerPool("cascade.verifiers.no_such_worker", 1)
        with pytest.raises(WorkerFailedError, match="no_such_worker"):
            pool.call(b"{}", 1.0)

    def test_waiting_for_a_free_worker_is_not_charged(self) -> None:
        """With one worker and many callers, only the comparison itself counts."""
        pool = WorkerPool("cascade.verifiers.symbolic_worker", 1)
        slow = _request(ENDLESS[7:-1], ENDLESS_GOLD)
        outcomes: list[object] = []

        def ask() -> None:
            try:
                pool.call(slow, 0.5)
            except WorkerFailedError:
                outcomes.append("killed")
            outcomes.append(pool.call(_request("7"), 0.5))

        try:
            threads = [threading.Thread(target=ask) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            pool.close()
        assert outcomes.count("killed") == 3
        assert len(outcomes) == 6

    def test_closing_twice_is_harmless_and_a_later_call_starts_again(self) -> None:
        """Also after the end of a program's main work."""
        pool = WorkerPool("cascade.verifiers.symbolic_worker", 1)
        pool.warm()
        pool.close()
        pool.close()
        assert b"difference" in pool.call(_request("5"), 10.0)
        pool.close()


def _request(answer: str, gold: str = "5") -> bytes:
    import json

    policy = math.Policy().as_json()
    message = {"gold": gold, "answer": answer, "policy": policy, "timeout_seconds": 1.0}
    return json.dumps(message).encode()


def test_a_verdict_is_remembered() -> None:
    """A group of samples often gives one answer many times."""
    pair = (r"\boxed{\sqrt{98}}", r"7\sqrt{2}")
    verdicts = [math.verify(*pair) for _ in range(3)]
    assert verdicts == [Verdict.correct(r"\sqrt{98}")] * 3
    assert (pair[1], r"\sqrt{98}", math.Policy()) in math._there


def test_the_processor_time_of_a_worker_is_limited() -> None:
    """The kernel ends a worker whose caller died during a long computation."""
    from cascade.verifiers import symbolic_worker

    code = (
        "import resource; from cascade.verifiers import symbolic_worker as w; "
        "w._limit_cpu(3.0); print(resource.getrlimit(resource.RLIMIT_CPU)[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert 3 <= int(done.stdout) <= 15
    assert symbolic_worker.MEMORY_BYTES < 8 << 30
