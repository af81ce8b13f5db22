"""Other ways to run a program, to be timed beside the sandbox in the same minute.

What they cost is the point: none is used to run anything untrusted.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from cascade.errors import SandboxError
from cascade.sandboxes.docker import IMAGE, connect

__all__ = ["ANSWERS", "ASKS", "Runner", "peers", "talk"]

Runner = Callable[[], None]
"""Runs the program once, and raises if its output is wrong."""

PYTHON = "print(sum(map(int, input().split())))\n"
C = (
    "#include <stdio.h>\n"
    'int main(void){int s=0,x;while(scanf("%d",&x)==1)s+=x;printf("%d\\n",s);return 0;}\n'
)
INPUT, OUTPUT = b"1 2 3\n", b"6\n"
ASKS = (
    "#include <stdio.h>\n"
    'int main(int c,char**v){int n,i,x;FILE*f=fopen(v[1],"r");if(fscanf(f,"%d",&n)!=1)return 1;'
    "for(i=0;i<n;i++){fwrite(&i,4,1,stdout);fflush(stdout);"
    "if(fread(&x,4,1,stdin)!=1||x!=i+1)return 43;}return 42;}\n"
)
"""An interactor that says so many words as a file names, and waits for an answer to each."""
ANSWERS = (
    "#include <stdio.h>\n"
    "int main(){int x;while(fread(&x,4,1,stdin)==1){x++;fwrite(&x,4,1,stdout);fflush(stdout);}}\n"
)


def _subprocess(command: list[str]) -> Runner:
    def run() -> None:
        done = subprocess.run(command, input=INPUT, capture_output=True, check=True)
        if done.stdout != OUTPUT:
            raise SandboxError(f"{command[0]} printed {done.stdout!r}: {done.stderr[:200]!r}")

    return run


def _bwrap(command: list[str], folder: str) -> list[str]:
    links = [f for f in ("/lib", "/lib64", "/bin") if Path(f).exists()]
    shown = [part for name in ("/usr", *links) for part in ("--ro-bind", name, name)]
    return ["bwrap", *shown, "--ro-bind", folder, folder, "--tmpfs", "/tmp/x", "--proc", "/proc",
            "--dev", "/dev", "--unshare-all", "--die-with-parent", *command]  # fmt: skip


@contextlib.contextmanager
def peers() -> Iterator[dict[tuple[str, str], Runner]]:
    """Give the runners that work here, by (way, language)."""
    found: dict[tuple[str, str], Runner] = {}
    with tempfile.TemporaryDirectory(prefix="cascade-bench-") as folder:
        script, program = Path(folder) / "t.py", Path(folder) / "prog"
        script.write_text(PYTHON)
        commands = {"python": ["/usr/bin/python3", "-I", "-S", str(script)]}
        if shutil.which("gcc"):
            (Path(folder) / "t.c").write_text(C)
            subprocess.run(["gcc", "-O2", "-o", program, f"{folder}/t.c"], check=True)
            commands["c"] = [str(program)]
        for language, command in commands.items():
            found["plain", language] = _subprocess(command)
            if shutil.which("bwrap"):
                found["bwrap", language] = _subprocess(_bwrap(command, folder))
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(SandboxError):
                stack.enter_context(_docker(found))
            yield found


@contextlib.contextmanager
def talk(words: int) -> Iterator[Runner]:
    """Give a runner of the two that talk, with nothing but pipes between them; needs gcc."""
    with tempfile.TemporaryDirectory(prefix="cascade-bench-") as name:
        folder = Path(name)
        (folder / "words").write_text(str(words))
        for stem, source in (("asks", ASKS), ("answers", ANSWERS)):
            (folder / f"{stem}.c").write_text(source)
            subprocess.run(["gcc", "-O2", "-o", folder / stem, folder / f"{stem}.c"], check=True)

        def run() -> None:
            with subprocess.Popen(
                [folder / "answers"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            ) as answers:
                asks = subprocess.run(
                    [folder / "asks", folder / "words"],
                    stdin=answers.stdout,
                    stdout=answers.stdin,
                    check=False,
                )
            if asks.returncode != 42:
                raise SandboxError(f"the plain conversation ended with {asks.returncode}")

        yield run


@contextlib.contextmanager
def _docker(found: dict[tuple[str, str], Runner]) -> Iterator[None]:
    """`docker run` and `docker exec` through the engine's interface, without the command line."""
    client = connect()
    shell = ["sh", "-c", 'echo 1 2 3 | python3 -I -S -c "$0"', PYTHON]
    container = client.containers.run(
        IMAGE, ["sleep", "1000"], detach=True, network_mode="none", auto_remove=True, init=True
    )

    def by_exec() -> None:
        done = container.exec_run(shell)
        if done.output != OUTPUT:
            raise SandboxError(f"docker exec printed {done.output!r}")

    def by_run() -> None:
        output = client.containers.run(
            IMAGE, shell, network_mode="none", remove=True, mem_limit="256m", pids_limit=64
        )
        if output != OUTPUT:
            raise SandboxError(f"docker run printed {output!r}")

    found["docker exec", "python"] = by_exec
    found["docker run", "python"] = by_run
    try:
        yield
    finally:
        container.remove(force=True)
        client.close()
