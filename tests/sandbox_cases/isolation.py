"""Programs that look for a way out, and compilers turned against the machine."""

from __future__ import annotations

from sandbox_cases.programs import ROOMY, SHORT, A, Hostile, c, py

ISOLATION = [
    py(
        54,
        "looks for a network",
        "import socket\n"
        "four, six = socket.AF_INET, socket.AF_INET6\n"
        "for family, kind in ((four, socket.SOCK_STREAM), (four, socket.SOCK_DGRAM),\n"
        "                     (six, socket.SOCK_STREAM)):\n"
        "    for host in ('1.1.1.1', '169.254.169.254', '::1', '127.0.0.1'):\n"
        "        try:\n"
        "            s = socket.socket(family, kind); s.settimeout(0.2); s.connect((host, 80))\n"
        "            print('reached', host)\n"
        "        except OSError: pass\n"
        "try: socket.getaddrinfo('example.org', 80); print('resolved')\n"
        "except OSError: pass\n"
        "print('held')",
        A,
    ),
    py(
        55,
        "looks for the engine's socket",
        "import os, socket\n"
        "for p in ('/var/run/docker.sock', '/run/docker.sock', '/run/cascade-docker/docker.sock',\n"
        "          '/run/containerd/containerd.sock'):\n"
        "    try:\n"
        "        s = socket.socket(socket.AF_UNIX); s.connect(p); print('reached', p)\n"
        "    except OSError: pass\n"
        "print('held')",
        A,
    ),
    py(
        56,
        "reads the runner",
        "import os\n"
        "for pid in (1, 2, 3, 7, 8):\n"
        "    for what in ('mem', 'environ', 'maps', 'fd/0', 'root/etc', 'cwd/etc'):\n"
        "        try:\n"
        "            p = f'/proc/{pid}/{what}'\n"
        "            os.listdir(p) if what.endswith('etc') else open(p, 'rb').read(1)\n"
        "            print('read', p)\n"
        "        except OSError: pass\n"
        "print('held')",
        A,
    ),
    py(
        57,
        "counts its descriptors",
        "import os; print('held' if sorted(os.listdir('/proc/self/fd'))[:3] == ['0', '1', '2'] "
        "and len(os.listdir('/proc/self/fd')) == 4 else os.listdir('/proc/self/fd'))",
        A,
    ),
    py(
        58,
        "traces and reads its parents",
        "import ctypes, os\n"
        "c = ctypes.CDLL(None)\n"
        "bad = [pid for pid in (1, os.getppid()) for req in (16, 0x4206)\n"
        "       if c.ptrace(req, pid, 0, 0) == 0]\n"
        "print(bad or 'held')",
        A,
    ),
    c(
        59,
        "calls what no honest program calls",
        "#define _GNU_SOURCE\n#include <stdio.h>\n#include <unistd.h>\n#include <sys/syscall.h>\n"
        "#include <sys/socket.h>\n#include <sched.h>\n#include <sys/mount.h>\n"
        "int main(){int n=0;"
        "n+=unshare(CLONE_NEWUSER)==0;n+=unshare(CLONE_NEWNS)==0;n+=setns(0,0)==0;"
        'n+=mount("x","/tmp","tmpfs",0,0)==0;n+=syscall(SYS_keyctl,0,-3,1)>=0;'
        "n+=syscall(SYS_bpf,0,0,0)>=0;n+=syscall(425,8,(char[256]){0})>=0;"
        "n+=syscall(SYS_userfaultfd,0)>=0;n+=syscall(SYS_perf_event_open,(char[128]){112},0,-1,-1,0)>=0;"
        "n+=socket(16,3,0)>=0;n+=socket(40,1,0)>=0;n+=socket(38,5,0)>=0;n+=socket(17,3,0)>=0;"
        "n+=syscall(SYS_process_vm_readv,1,0,0,0,0,0)>0;n+=syscall(SYS_open_by_handle_at,3,0,0)>=0;"
        'if(n==0)puts("held");else printf("%d\\n",n);}',
        A,
    ),
    py(
        60,
        "looks for a way to root",
        "import os, subprocess\n"
        "for act in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0])):\n"
        "    try: act(); print('got it')\n"
        "    except OSError: pass\n"
        "for command in (['su', '-c', 'id -u'], ['mount'], ['passwd', '-d', 'root']):\n"
        "    try: out = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL)\n"
        "    except OSError: continue\n"
        "    if out.stdout.strip() == b'0': print('root')\n"
        "print('held' if os.getuid() == os.geteuid() and 'CapEff:\\t0000000000000000' in "
        "open('/proc/self/status').read() else 'caps')",
        A,
        limits=ROOMY,
    ),
    py(
        61,
        "looks for secrets",
        "import os, sys\n"
        "known = {'PATH', 'HOME', 'TMPDIR', 'LANG', 'LC_CTYPE'}\n"
        "ours = ('PYTHON', 'OMP', 'OPENBLAS', 'MKL', 'GO', 'HOSTNAME')\n"
        "odd = [k for k in os.environ if k not in known and not k.startswith(ours)]\n"
        "print(odd or sys.argv[1:] or 'held')",
        A,
    ),
    py(
        62,
        "looks for the last test's input",
        # The input is looked for one letter on, so that the program does not find itself.
        "import os\n"
        "shift = bytes((i + 1) % 256 for i in range(256))\n"
        "needle = b'TFDSFU.JOQVU.PG.UIF.MBTU.UFTU'\n"
        "found = []\n"
        "for top in ('/tmp', '/dev/shm', '/var', '/run', '/cascade'):\n"
        "    for at, folders, files in os.walk(top):\n"
        "        for f in files:\n"
        "            try: data = open(os.path.join(at, f), 'rb').read(1 << 16)\n"
        "            except OSError: continue\n"
        "            if needle in data.translate(shift): found.append(f)\n"
        "for line in open('/proc/self/maps'):\n"
        "    part = line.split()\n"
        "    if 'r' not in part[1]: continue\n"
        "    low, high = (int(x, 16) for x in part[0].split('-'))\n"
        "    try:\n"
        "        with open('/proc/self/mem', 'rb', 0) as m:\n"
        "            m.seek(low); data = m.read(high - low)\n"
        "    except (OSError, OverflowError, ValueError): continue\n"
        "    if needle in data.translate(shift): found.append(line)\n"
        "print(found or 'held')",
        A,
        limits=ROOMY,
    ),
]

_CE = ("compile_error", "compile_time_limit", "compile_memory_limit")

COMPILER = [
    (
        "template recursion",
        "template<int N> struct A { typedef typename A<N+1>::t t; typename A<N*2>::t u; };\n"
        "int main() { A<1>::t x; }",
        _CE,
    ),
    (
        "exponential templates",
        "template<int N, int M> struct F {\n"
        "  static const long v = F<N-1, M*2>::v + F<N-1, M*2+1>::v; };\n"
        "template<int M> struct F<0, M> { static const long v = M; };\n"
        "int main() { return F<26, 1>::v; }",
        _CE,
    ),
    ("includes an endless device", '#include "/dev/zero"\nint main() {}', _CE),
    ("includes a file of the system", '#include "/etc/shadow"\nint main() {}', _CE),
    ("includes the runner", '#include "/proc/1/environ"\nint main() {}', _CE),
    (
        "assembles a file of the system",
        'asm(".incbin \\"/etc/shadow\\"");\nint main() {}',
        _CE,
    ),
    (
        "flood of warnings",
        "#define A(x) int f##x() { int y; return \"s\" + y + 1.5f << 99; }\n"
        + "\n".join(f"A({i})" for i in range(5000))
        + "\nint main() {}",
        _CE,
    ),
    ("a plugin", '#pragma GCC plugin "x.so"\nint main() {}', ("accepted", *_CE)),
    ("two gigabytes of array", "char x[2000000000] = {1};\nint main() {}", (*_CE, "file_limit")),
    ("no end of a macro", "#define A(x) x x x x\n#define B(x) A(A(A(A(x))))\n"
     "#define C(x) B(B(B(B(x))))\nint main() { C(C(;)) }", _CE),
]  # fmt: skip

__all__ = ["COMPILER", "ISOLATION", "ROOMY", "SHORT", "Hostile"]
