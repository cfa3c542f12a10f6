"""The tasks, by name. A new task is one file or folder and one line here; a class is imported when it is asked for."""

from typing import TYPE_CHECKING

from harness.core.registry import Registry

if TYPE_CHECKING:
    from harness.core.task import Task

TASKS: "Registry[Task]" = Registry(
    "task",
    "harness.core.task:Task",
    "harness.tasks",
    {
        "imdb": "harness.tasks.imdb:Imdb",
        "toy": "harness.tasks.toy:Toy",
        "data": "harness.tasks.data:Data",
        "lm_eval": "harness.tasks.lm_eval_task.task:LmEval",
        "ifeval": "harness.tasks.ifeval.task:IFEval",
        "hub": "harness.tasks.hub:Hub",
        "summaries": "harness.tasks.summaries.task:Summaries",
    },
)
