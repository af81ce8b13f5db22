"""The same six programs in every language, each with the verdict that is right for it."""

from __future__ import annotations

from dataclasses import dataclass

from cascade.sandboxes import Status

VERDICTS = {
    "good": Status.ACCEPTED,
    "wrong": Status.WRONG_ANSWER,
    "does not compile": Status.COMPILE_ERROR,
    "crashes": Status.RUNTIME_ERROR,
    "never ends": Status.TIME_LIMIT,
    "takes too much memory": Status.MEMORY_LIMIT,
}
"""Python and JavaScript have no compiler: what does not compile crashes there."""


@dataclass(frozen=True)
class Sources:
    """Programs that read two numbers; `add` and `body` are what differs."""

    frame: str
    """`BODY` is replaced."""
    add: str
    subtract: str
    broken: str
    crash: str
    loop: str
    hoard: str
    """Touches memory until there is no more."""

    def of(self, what: str) -> str:
        """The program that does `what`."""
        names = ("add", "subtract", "broken", "crash", "loop", "hoard")
        body = getattr(self, dict(zip(VERDICTS, names, strict=True))[what])
        return self.frame.replace("BODY", body)


_C = Sources(
    "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\nvolatile int z;\n"
    'int main(void){int a,b;if(scanf("%d %d",&a,&b)!=2)return 2;BODY return 0;}\n',
    'printf("%d\\n",a+b);',
    'printf("%d\\n",a-b);',
    'printf("%d\\n",undeclared);',
    "abort();",
    "for(;;)z++;",
    "for(;;){char*p=malloc(1<<20);if(!p)abort();memset(p,1,1<<20);z+=p[5];}",
)
_CPP = Sources(
    "#include <bits/stdc++.h>\nusing namespace std;volatile int z;\n"
    "int main(){int a,b;cin>>a>>b;BODY}\n",
    "cout<<a+b<<endl;",
    "cout<<a-b<<endl;",
    "cout<<undeclared<<endl;",
    "throw runtime_error(to_string(a));",
    "for(;;)z++;",
    "vector<string> v;for(;;){v.emplace_back(1<<20,'x');z+=v.back()[9];}",
)
SOURCES = {
    "python": Sources(
        "a, b = map(int, input().split())\nBODY\n",
        "print(a + b)",
        "print(a - b)",
        "print(a +",
        "print(a // 0)",
        "while True: a += 1",
        "x = []\nwhile True: x.append(b'x' * (1 << 20))",
    ),
    "c": _C,
    "cpp17": _CPP,
    "cpp20": Sources(
        _CPP.frame.replace("BODY", "auto c=a<=>b;z=c<0;BODY"),
        *(_CPP.add, _CPP.subtract, _CPP.broken, _CPP.crash, _CPP.loop, _CPP.hoard),
    ),
    "rust": Sources(
        "use std::io::*;\nfn main() {\n  let mut s = String::new();\n"
        "  stdin().read_to_string(&mut s).unwrap();\n"
        "  let n: Vec<i64> = s.split_whitespace().map(|x| x.parse().unwrap()).collect();\n"
        "  let (a, b) = (n[0], n[1]);\n  BODY\n}\n",
        'println!("{}", a + b);',
        'println!("{}", a - b);',
        'println!("{}", undeclared + a + b);',
        'println!("{}", n[(a + b) as usize + 9]);',
        "let mut z = b; loop { unsafe { std::ptr::write_volatile(&mut z, z.wrapping_add(a)); } }",
        "let mut v = vec![vec![a + b]];\n"
        '  loop { v.push(vec![a; 1 << 17]); if v.len() == 1 << 30 { println!("{}", v[9][0]); } }',
    ),
    "go": Sources(
        'package main\n\nimport "fmt"\n\nvar kept [][]byte\n\nfunc main() {\n  var a, b int\n'
        "  fmt.Scan(&a, &b)\n  BODY\n}\n",
        "fmt.Println(a + b)",
        "fmt.Println(a - b)",
        "fmt.Println(undeclared)",
        "fmt.Println(kept[a+b])",
        "for { a += b }",
        "for {\n    x := make([]byte, 1<<20)\n    for i := range x { x[i] = byte(a + b) }\n"
        "    kept = append(kept, x)\n  }",
    ),
    "java": Sources(
        "import java.util.*;\npublic class Add {\n  static volatile int z;\n"
        "  public static void main(String[] args) {\n    Scanner s = new Scanner(System.in);\n"
        "    int a = s.nextInt(), b = s.nextInt();\n    BODY\n  }\n}\n",
        "System.out.println(a + b);",
        "System.out.println(a - b);",
        "System.out.println(undeclared);",
        "System.out.println(new int[1][a + b]); throw new IllegalStateException();",
        "while (true) z++;",
        "List<byte[]> kept = new ArrayList<>();\n"
        "    while (true) { byte[] x = new byte[1 << 20]; Arrays.fill(x, (byte) a); kept.add(x); }",
    ),
    "javascript": Sources(
        "const [a, b] = require('fs').readFileSync(0, 'utf8').split(' ').map(Number);\nBODY\n",
        "console.log(a + b);",
        "console.log(a - b);",
        "console.log(a +;",
        "console.log(undeclared);",
        "for (let z = 0; ; z++);",
        "const kept = []; for (;;) kept.push(new Array(1 << 17).fill(a + 0.5));",
    ),
}
"""By the name of the language."""

GARBAGE = {
    "java": (
        "import java.util.*;\npublic class G {\n  public static void main(String[] args) {\n"
        "    long sum = 0;\n    for (int i = 0; i < 4000; i++) {\n"
        "      byte[] x = new byte[1 << 20]; x[i] = 1; sum += x[i];\n    }\n"
        "    System.out.println(sum);\n  }\n}\n"
    ),
    "javascript": (
        "let sum = 0;\nfor (let i = 0; i < 2000; i++) {\n"
        "  const x = new Array(1 << 17).fill(0.5); sum += x[i] * 4;\n}\nconsole.log(sum);\n"
    ),
    "go": (
        'package main\n\nimport "fmt"\n\nvar kept []byte\n\nfunc main() {\n  sum := 0\n'
        "  for i := 0; i < 4000; i++ {\n    kept = make([]byte, 1<<20)\n    kept[i] = 1\n"
        "    sum += int(kept[i])\n  }\n  fmt.Println(sum)\n}\n"
    ),
}
"""Programs that throw away gigabytes and keep next to nothing; all print 4000."""

LARGE = {
    "java": (
        "public class L {\n  public static void main(String[] args) {\n"
        "    byte[][] kept = new byte[500][];\n"
        "    for (int i = 0; i < 500; i++) kept[i] = new byte[1 << 20];\n"
        "    System.out.println(kept.length);\n  }\n}\n"
    ),
    "javascript": (
        "const kept = [];\n"
        "for (let i = 0; i < 500; i++) kept.push(new Array(1 << 17).fill(i + 0.5));\n"
        "console.log(kept.length);\n"
    ),
}
"""Programs that keep 500 MB; both print 500."""
