"""The checker itself must fail on a planted loss."""

import pytest

from harness.tq import Ledger, check


def test_a_run_where_all_came_out_holds():
    account = check(["a", "b"], ["a", "b"], ["a", "b", "b"])
    assert account.holds
    assert (account.delivered, account.duplicated) == (2, 1)


def test_a_planted_loss_is_found_and_named():
    account = check(["a", "b", "c"], ["a", "b"], ["a"])
    assert not account.holds
    assert account.lost == {"b"}
    assert "lost: b" in str(account)


def test_an_event_from_nowhere_is_found_and_named():
    account = check(["a"], ["a"], ["a", "x"])
    assert not account.holds
    assert account.unexpected == {"x"}
    assert "unexpected: x" in str(account)


def test_an_unacknowledged_event_may_come_out_or_not():
    account = check(["a", "b", "c"], ["a"], ["a", "b"])
    assert account.holds
    assert account.recovered == {"b"}


def test_an_acknowledgement_without_an_attempt_is_a_mistake_of_the_test():
    with pytest.raises(ValueError, match="never attempted: \\['z'\\]"):
        check(["a"], ["z"], [])


def test_a_ledger_accounts_for_what_it_noted():
    ledger = Ledger({"a", "b"}, {"a"})
    assert ledger.account(["b"]).lost == {"a"}
