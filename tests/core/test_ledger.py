import pytest

from harness.core.ledger import Ledger, Usage


def test_spending_outside_a_phase_raises():
    with pytest.raises(RuntimeError, match="outside a phase"):
        Ledger().spend("policy", tokens=1)


def test_phases_do_not_nest():
    ledger = Ledger()
    with ledger.phase("fit"), pytest.raises(RuntimeError, match="inside phase"), ledger.phase("score"):
        pass


def test_usage_adds_up_by_phase_and_role():
    ledger = Ledger()
    with ledger.phase("fit"):
        ledger.spend("policy", calls=1, tokens=5)
        ledger.spend("policy", calls=2, tokens=7, prefill_tokens=3)
        ledger.spend("proxy", sequences=4)
    policy, proxy = ledger.drain()
    assert (policy["calls"], policy["tokens"], policy["prefill_tokens"]) == (3, 12, 3)
    assert (proxy["role"], proxy["sequences"]) == ("proxy", 4)
    assert ledger.drain() == []


def test_usage_of_different_roles_does_not_add():
    with pytest.raises(AssertionError):
        Usage("fit", "policy") + Usage("fit", "gold")
