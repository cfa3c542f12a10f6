"""The tasks, by name. A new task is one file (or folder) and one line here."""

from harness.core.task import Task
from harness.tasks.imdb import Imdb
from harness.tasks.toy import Toy

TASKS: dict[str, type[Task]] = {"imdb": Imdb, "toy": Toy}
