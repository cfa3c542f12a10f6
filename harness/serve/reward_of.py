"""The reward that a model was aligned with, made anew where it is asked at test time.

reward_of(about, policy)(completions)          # (n,) in reward units

A function or a grader is found again where it lay, and refused where it is another one by now.
"""

from pathlib import Path

from harness.core.errors import UserError
from harness.core.files import cache_folder
from harness.core.given_reward import Reward
from harness.core.graders.graded_task import function_of
from harness.core.models.policy import Policy
from harness.core.registry import import_file
from harness.core.types import Scorer
from harness.running.fitted import Fitted, stored_settings
from harness.tasks import TASKS
from harness.tasks.own import NAME as OWN

DATA = "data"  # the task of a file of prompts and a grader


def reward_of(about: Fitted, policy: Policy) -> Scorer:
    """Raises UserError where it is gone or another one."""
    asked = about.asked["task"]
    if asked == OWN:
        return _imported(about)
    if asked == DATA:
        return _grader(about, policy)
    name = TASKS.name_of(about.task or asked)
    config = stored_settings(
        name, TASKS[name].Config, {**about.asked["settings"][name], **about.facts.get("files", {})}
    )
    return TASKS[name](config, policy, cache_folder()).reward()


def _imported(about: Fitted) -> Reward:
    """The function that a model was aligned with, if it is still the same."""
    assert about.reward is not None, "asked for before"
    path, _, name = about.reward.rpartition(":")
    if not Path(path).is_file():
        raise UserError(f"the reward {about.reward!r} is gone; give it as reward=")
    function = vars(import_file(Path(path))).get(name)
    found = None if function is None else Reward.of(function)
    if found is None or found.source.identity != about.reward_source:
        raise UserError(f"the reward {about.reward!r} is not the one that was fitted on; give that one as reward=")
    return found


def _grader(about: Fitted, policy: Policy) -> Scorer:
    """The grader that a model was aligned with, if it lies where it lay and is still the same."""
    assert about.reward is not None, "a run of data has graders"
    if not function_of(about.reward)[0].is_file():
        raise UserError(f"the grader {about.reward!r} is gone; put it back, or choose a pick that asks for none")
    endpoint, key = about.facts.get("asked_at", ("", ""))
    files = {"file": "", "grader": about.reward, "gold": "", "endpoint": endpoint, "key_variable": key}
    kind = TASKS[DATA]
    task = kind(stored_settings(DATA, kind.Config, {**about.asked["settings"][DATA], **files}), policy, cache_folder())
    if task.reward_file is None or task.reward_file[1] != about.reward_source:
        raise UserError(
            f"the grader {about.reward!r} is not the one that was fitted on; put that one back, or choose a pick that "
            "asks for none"
        )
    return task.reward()
