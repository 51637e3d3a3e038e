"""Which credential a request proves, and for which events it may speak."""

import gc
from dataclasses import replace

import pytest

from gateway.blueprint import Credential, Source
from gateway.blueprint.combined import AllOf, AnyOf
from gateway.core.identify import compile_identify
from gateway.core.model import Event, Proof, Request
from gateway.core.routing import Pattern
from gateway.errors import RequestError, VerificationError
from gateway.ingress.refusals import KEPT, LOGGED_PER_SECOND, Refusal, Refusals
from gateway.ingress.verify import verify, within_scope
from gateway.verifiers.token import Token


def credential(name, secret, events=("*",), versions=("*",)):
    verifier = Token.build(Token.options(header="x-token"), secret)
    return Credential(name, "token", verifier, Pattern(events), Pattern(versions))


def source(*credentials):
    rule = compile_identify({"type": "body.type"})
    return Source("acme", "/hooks/acme", "generic", credentials, rule, Pattern(["*"]), "hold", "keep", 1000, 200, b"")


def request(token):
    return Request("POST", "/hooks/acme", "", ((b"x-token", token),), b"{}", "192.0.2.1", 0)


def event(event_type, version="1", name="old"):
    return Event("acme", name, event_type, version, None, None, None, b"", None, None)


OLD, NEW = b"the-old-secret-0123456789", b"the-new-secret-0123456789"


def test_during_a_rotation_both_secrets_prove_a_request_and_the_one_that_did_is_named():
    both = source(credential("old", OLD), credential("new", NEW))
    assert [match.credential.name for match in verify(both, request(OLD))] == ["old"]
    assert [match.credential.name for match in verify(both, request(NEW))] == ["new"]


def test_every_credential_that_matches_is_told_so_that_the_old_one_can_be_dropped():
    same = source(credential("a", OLD), credential("b", OLD))
    assert [match.credential.name for match in verify(same, request(OLD))] == ["a", "b"]


class Foreign:
    """A plugin's verifier that breaks its contract."""

    def __init__(self, act):
        self._act = act

    def verify(self, _request):
        return self._act()

    def sign(self, request):
        return request


def leave():
    raise SystemExit("the-old-secret")


def malformed():
    raise RequestError(400, "body", "no JSON")


@pytest.mark.parametrize("act", [leave, malformed, lambda: {}["x"], lambda: True, lambda: None])
def test_what_a_plugin_raises_or_gives_keeps_no_other_of_any_of_from_proving_a_request(act):
    member = credential("main", OLD)
    for verifiers in ([Foreign(act), member.verifier], [member.verifier, Foreign(act)]):
        either = source(replace(member, scheme="any_of", verifier=AnyOf(verifiers)))
        assert [match.credential.name for match in verify(either, request(OLD))] == ["main"]
        with pytest.raises(RequestError) as caught:
            verify(either, request(NEW))
        assert "secret" not in str(caught.value)
        with pytest.raises(RequestError):
            verify(source(replace(member, verifier=AllOf(verifiers))), request(OLD))


@pytest.mark.parametrize("token", [b"", b"wrong", OLD + b" ", OLD[:-1], NEW.upper()])
def test_S13_a_request_that_no_credential_proves_is_refused(token):
    with pytest.raises(VerificationError) as caught:
        verify(source(credential("old", OLD), credential("new", NEW)), request(token))
    assert caught.value.status == 401


def test_a_refusal_names_the_credentials_that_the_request_did_not_prove():
    old, new = credential("old", OLD), credential("new", NEW)
    for asked, told in ((source(old), "credential old: "), (source(old, new), "none of the credentials old, new: ")):
        with pytest.raises(VerificationError) as caught:
            verify(asked, request(b"wrong"))
        assert caught.value.detail.startswith(told)


def test_a_source_without_credentials_proves_nothing():
    with pytest.raises(VerificationError):
        verify(source(), request(OLD))


def matched(*credentials):
    return verify(source(*credentials), request(OLD))


def test_a_credential_does_not_speak_for_events_outside_its_scope():
    with pytest.raises(VerificationError) as caught:
        within_scope(matched(credential("old", OLD, ["order.*"])), (event("payment.made"),))
    assert caught.value.reason == "scope"
    assert caught.value.status == 401


def test_a_credential_does_not_speak_for_versions_outside_its_scope():
    with pytest.raises(VerificationError):
        within_scope(matched(credential("old", OLD, versions=["1"])), (event("order.paid", "2"),))


def test_an_event_carries_the_name_of_the_credential_that_covers_it():
    matches = matched(credential("orders", OLD, ["order.*"]), credential("rest", OLD))
    covered = within_scope(matches, (event("payment.made", name="orders"), event("order.paid", name="orders")))
    assert [each.credential for each in covered] == ["rest", "orders"]


def test_a_batch_keeps_what_is_inside_the_scope_and_drops_the_rest():
    matches = matched(credential("old", OLD, ["order.*"]))
    covered = within_scope(matches, (event("order.paid"), event("payment.made"), event("order.sent")))
    assert [each.type for each in covered] == ["order.paid", "order.sent"]


def refusal(at):
    return Refusal(at, "acme", "192.0.2.1", 401, "token", "")


def test_S15_a_flood_of_refusals_is_kept_bounded_and_logged_ten_times_a_second():
    refusals = Refusals()
    logged = sum(refusals.add(refusal(at)) for at in range(5000, 7000))
    assert logged == 2 * LOGGED_PER_SECOND
    assert len(refusals.newest(10_000)) == KEPT
    assert [each.at for each in refusals.newest(2)] == [6999, 6998]


def test_a_burst_of_one_refusal_hides_no_other():
    refusals = Refusals()
    refusals.add(Refusal(1, "stripe", "192.0.2.1", 401, "bad_signature", ""))
    for at in range(1000):
        refusals.add(Refusal(at, "acme", "192.0.2.7", 401, "bad_token", f"the {at}th"))
    refusals.add(Refusal(2000, "stripe", "192.0.2.2", 401, "bad_signature", "again"))
    told = [(each.source, each.client, each.detail, count) for each, count in refusals.folded(10)]
    assert told == [("stripe", "192.0.2.2", "again", 2), ("acme", "192.0.2.7", "the 999th", 1000)]
    assert [each.source for each, _ in refusals.folded(1)] == ["stripe"]


def test_refusals_are_bounded_however_many_kinds_there_are():
    refusals = Refusals()
    for at in range(1000):
        refusals.add(Refusal(at, f"source-{at}", "192.0.2.7", 401, "bad_token", ""))
    assert [each.at for each, _ in refusals.folded(10_000)] == list(range(999, 999 - KEPT, -1))


def test_a_proof_says_which_headers_are_stored_nowhere():
    (match,) = matched(credential("old", OLD))
    assert match.proof == Proof(consumed=(b"x-token",))


class Misbehaving:
    """A verifier plugin that does not keep its contract."""

    def __init__(self, what):
        self.what = what

    def verify(self, _request):
        if isinstance(self.what, type) and issubclass(self.what, BaseException):
            raise self.what("a-secret-in-its-text")
        return self.what


@pytest.mark.parametrize("what", [ValueError, SystemExit, KeyboardInterrupt, MemoryError, RecursionError, None, True])
def test_G1_a_verifier_that_raises_or_gives_nonsense_proves_nothing_and_ends_nothing(what):
    bad = Credential("bad", "mine", Misbehaving(what), Pattern(["*"]), Pattern(["*"]))
    with pytest.raises(VerificationError) as caught:
        verify(source(bad), request(OLD))
    assert (caught.value.status, caught.value.reason) == (401, "plugin")
    assert "a-secret" not in str(caught.value)
    assert [match.credential.name for match in verify(source(bad, credential("old", OLD)), request(OLD))] == ["old"]


def test_a_credential_that_does_not_match_leaves_no_cycle_for_the_collector():
    both = source(credential("old", OLD), credential("new", NEW))
    gc.collect()
    gc.disable()
    try:
        for _ in range(100):
            verify(both, request(NEW))
        found = gc.collect()
    finally:
        gc.enable()
    assert found < 100
