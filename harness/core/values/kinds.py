"""The kind of value function that settings ask for: what it needs, what it loads, and its fit.

needs(settings)                                         # frozenset({"states"}) for kind=hidden
unavailable("iro", settings)                            # why it cannot be had, or None
fitted = fit_kind(rollouts, settings, policy, rng)
fitted.value, fitted.report
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from harness.core.models.handle import PolicyHandle
from harness.core.models.rows import Capability
from harness.core.types import Candidate, Work
from harness.core.values.ensemble import fit_averaged
from harness.core.values.fitting import FittedValue, ValueSettings
from harness.core.values.hidden import HiddenValue
from harness.core.values.value import PrefixValue


def needs(settings: ValueSettings) -> frozenset[Capability]:
    """Of the policy: its states, or nothing but what it wrote."""
    return frozenset({"states"}) if settings.kind == "hidden" else frozenset({"text"})


def unavailable(method: str, settings: ValueSettings) -> str | None:
    """Why such values cannot be fitted here, and what to do; None where they can."""
    if settings.kind != "hidden" and settings.ensemble > 1:
        return (
            f"{method}.value.ensemble={settings.ensemble} averages heads on the policy's states, and "
            f"{method}.value.kind is {settings.kind}; leave ensemble at 1"
        )
    if settings.kind == "lm":
        from harness.core.values.lm_weights import unavailable as without_peft

        return without_peft(settings.lm)
    return None


def models_read(settings: ValueSettings) -> frozenset[str]:
    """Embedded models that its values read beside the policy, which a task may keep for its gold."""
    embedding = settings.text.embedding if settings.kind == "text" else "none"
    return frozenset() if embedding == "none" else frozenset({embedding})


def reading_at_most(settings: ValueSettings, values: int, work: Work, longest: int) -> Work:
    """The work of an answer of so many tokens with its prompt, and what so many values read of it.

    A model of their own reads all that the policy does, and of each row and chunk a token again where a word went on;
    an embedding reads every prefix whole.
    """
    if settings.kind == "lm":
        return replace(work, value_tokens=values * work.policy_tokens + work.value_calls)
    return replace(work, value_tokens=work.value_calls * longest) if models_read(settings) else work


def prices_of(values: Sequence[PrefixValue]) -> dict[str, float]:
    """FLOPs of a prefix valued, and of a token read where values have models of their own; means over the values."""
    count = max(len(values), 1)
    call, token = (sum(of) / count for of in ([v.flops() for v in values], [v.flops_of_token() for v in values]))
    return {"call": call, "token": token} if token else {"call": call}


def inputs_of(settings: ValueSettings, policy: PolicyHandle) -> dict[str, str]:
    """Fingerprints of the models that its fits load, which are part of their keys."""
    if settings.kind == "lm":
        return {"value": policy.value_model(settings.lm.model, settings.lm.blocks).fingerprint}
    if embedded := models_read(settings):
        from harness.core.values.embedding import fingerprint_of

        return {name: fingerprint_of(name) for name in embedded}
    return {}


def fit_kind(
    rollouts: Sequence[Candidate],
    settings: ValueSettings,
    policy: PolicyHandle,
    rng: np.random.Generator,
    start: HiddenValue | None = None,
    fold: int = 0,
) -> FittedValue:
    """Fit a value of the kind that is asked for; `start` is for heads on the policy's states, see `fit_value`."""
    match settings.kind:
        case "hidden":
            fitted = fit_averaged(rollouts, settings, rng, start, fold)
            return FittedValue(fitted.value, fitted.report)
        case "text":
            from harness.core.values.text_fitting import fit_text  # scikit-learn

            return fit_text(rollouts, settings, policy, fold)
        case "lm":
            from harness.core.values.lm_fitting import fit_lm  # transformers

            return fit_lm(rollouts, settings, policy, rng, fold)
