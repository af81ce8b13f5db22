"""An office as a tool world: directory, e-mail, calendar, task board, customers, web analytics.

Everything is generated: the people, the messages, and the tasks, by seed. `OFFICE` is the toolbox,
`office(seed)` the tables at the start, `workplace_tasks` the tasks; `judge_calls` replays calls and
compares the tables with those after the gold calls.
"""

from cascade.envs.workplace.env import WorkplaceEnv
from cascade.envs.workplace.office import NOW, Customer, Email, Employee, Event, Plot, Ticket, Visit
from cascade.envs.workplace.population import office
from cascade.envs.workplace.tasks import judge_calls, workplace_task, workplace_tasks
from cascade.envs.workplace.tools import OFFICE

__all__ = [
    "NOW",
    "OFFICE",
    "Customer",
    "Email",
    "Employee",
    "Event",
    "Plot",
    "Ticket",
    "Visit",
    "WorkplaceEnv",
    "judge_calls",
    "office",
    "workplace_task",
    "workplace_tasks",
]
