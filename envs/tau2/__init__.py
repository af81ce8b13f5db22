"""τ²-bench: customers who want something, an agent with tools and a policy: ``cascade/Tau2-v0``.

The tools of the domains retail and airline are written anew after their published behaviour
(sierra-research/tau2-bench at a2c0247, MIT); data bases, tasks and policies are the publisher's and
are read from where the user keeps them (docs/tool-calling.md).
"""

from cascade.envs.tau2.documents import Documents
from cascade.envs.tau2.domains import DOMAINS, Domain, find_domain, open_database
from cascade.envs.tau2.env import Tau2Env
from cascade.envs.tau2.judging import judge_episode

__all__ = [
    "DOMAINS",
    "Documents",
    "Domain",
    "Tau2Env",
    "find_domain",
    "judge_episode",
    "open_database",
]
