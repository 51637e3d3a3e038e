"""The presets as data: what they say compiles, and requests as the providers describe them become the right events."""

import json
import tomllib
from importlib.resources import files

import jwt as pyjwt
import pytest
from verify_harness import KEY, NOW, make_request, make_verifier, refusal

from gateway.core.identify import compile_identify, identify
from gateway.plugin import load_kinds

NAMES = ("generic", "truework", "truora")
TRUORA_KEY = b"truora-key-of-22-chars"


def preset(name):
    return tomllib.loads((files("gateway.presets") / f"{name}.toml").read_text(encoding="utf-8"))


def built(name, secret):
    table = dict(preset(name)["verify"])
    kind = load_kinds("verifiers", {table["scheme"]})[table.pop("scheme")]
    return make_verifier(kind, secret, **table)


def taken(name, request, secret=KEY):
    proof = built(name, secret).verify(request)
    return identify(compile_identify(preset(name)["identify"]), name, "main", request, proof)


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_holds_the_keys_of_its_schema_and_says_how_sure_it_is(name):
    table = preset(name)
    assert {"title", "sources", "verified", "secret_help", "ack", "retry", "samples"} <= set(table)
    assert table["verified"] in {"sdk", "docs", "secondary", "unconfirmed"}
    assert table["sources"] or table["verified"] == "unconfirmed"
    assert 200 <= table["ack"]["status"] < 300
    for sample in table["samples"]:
        assert {"name", "type", "version", "headers", "body"} == set(sample)


@pytest.mark.parametrize("name", ["truework", "truora"])
def test_each_sample_signs_verifies_and_becomes_the_event_it_names(name):
    for sample in preset(name)["samples"]:
        body = json.dumps(sample["body"]).replace("{now_iso}", "2022-04-07T21:39:13.000Z")
        headers = {key.replace("-", "_"): value for key, value in sample["headers"].items()}
        request = built(name, KEY).sign(make_request(body, **headers))
        event = taken(name, request)[0]
        assert (event.type, event.version) == (sample["type"], sample["version"])
        assert event.occurred_at == NOW * 1000
        assert event.key


def truework_request(version="2023-10-30", **changes):
    data = {"order_id": "o-1", "state": "completed", "verification_request_id": "vr-1", "metadata": {}}
    hook = {
        "id": 7,
        "event": "verification_request.state.change",
        "target": "x",
        "triggered_at": "2022-04-07T21:39:13Z",
    }
    body = {"version": version, "hook": hook, "data": {**data, **changes}}
    return make_request(json.dumps(body), X_Truework_Token=KEY, Content_Type="application/json")


def test_truework_s_key_tells_states_and_subscriptions_apart_and_repeats_together():
    (first,) = taken("truework", truework_request())
    assert taken("truework", truework_request(metadata={"other": 1}))[0].key == first.key
    for change in ({"order_id": "o-2"}, {"state": "canceled"}, {"verification_request_id": None}):
        assert taken("truework", truework_request(**change))[0].key != first.key
    assert taken("truework", truework_request("2024-01-01"))[0].key != first.key


def test_truework_s_misspelt_state_is_read_as_the_right_one_and_unknown_states_pass():
    for sent, meant in [("action-requred", "action-required"), ("action-required",) * 2, ("brand-new",) * 2]:
        (event,) = taken("truework", truework_request(state=sent))
        assert event.body["data"]["state"] == meant


def test_S13_truework_s_token_of_another_subscription_is_refused():
    assert refusal(built("truework", b"t" * 24), truework_request()) == "token"


def truora_part(number=1, **changes):
    part = {
        "id": f"HKE{number}",
        "event_type": "digital_identity.identity_process",
        "event_action": "succeeded",
        "object": {"process_id": "IDP1", "account_id": "ACC1", "status": "success"},
        "version": "1.0",
        "timestamp": "2022-04-07T21:39:13Z",
    }
    return {**part, **changes}


def truora_token(*parts, key=TRUORA_KEY):
    with pytest.warns(pyjwt.warnings.InsecureKeyLengthWarning):  # Truora chooses the length of the key
        return pyjwt.encode({"iss": "Truora", "iat": NOW, "events": list(parts)}, key, "HS256")


@pytest.mark.parametrize("wrap", [str, lambda token: json.dumps({"token": token})])
@pytest.mark.parametrize("kind", ["application/jwt", "text/plain; charset=utf-8", "application/json"])
def test_a_truora_token_gives_each_of_its_events_whatever_it_is_wrapped_in(wrap, kind):
    body = wrap(truora_token(truora_part(1), truora_part(2, event_action="failed")))
    events = taken("truora", make_request(body, Content_Type=kind), TRUORA_KEY)
    assert [event.type for event in events] == [
        "digital_identity.identity_process.succeeded",
        "digital_identity.identity_process.failed",
    ]
    assert len({event.key for event in events}) == 2
    assert all(event.version == "1.0" and event.occurred_at == NOW * 1000 for event in events)
    assert json.loads(events[0].part) == truora_part(1)


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("digital_identity.identity_process", "digital_identity.identity_process.succeeded"),
        ("identity_process", "digital_identity.identity_process.succeeded"),
        ("digital_identity", "digital_identity.identity_process.succeeded"),
        ("digital-identity", "digital_identity.identity_process.succeeded"),
        ("Digital Identity", "digital_identity.identity_process.succeeded"),
        ("document_validation", "document_validation.succeeded"),
        ("Document Validation", "document_validation.succeeded"),
        ("Checks", "check.succeeded"),
        ("check", "check.succeeded"),
        ("brand_new", "brand_new.succeeded"),
    ],
)
def test_truora_s_product_names_are_one_name_each(sent, meant):
    body = truora_token(truora_part(event_type=sent))
    assert taken("truora", make_request(body), TRUORA_KEY)[0].type == meant


def test_J8_a_truora_event_keeps_its_key_in_a_new_token():
    """Truora's retry may be signed again with another iat: the key is the event's id, never the token."""
    (first,) = taken("truora", make_request(truora_token(truora_part())), TRUORA_KEY)
    events = taken("truora", make_request(truora_token(truora_part(2), truora_part())), TRUORA_KEY)
    assert events[1].key == first.key
    assert events[1].digest == first.digest


def test_J1_a_truora_token_without_a_signature_is_refused():
    verifier = built("truora", TRUORA_KEY)
    unsigned = pyjwt.encode({"iss": "Truora", "events": [truora_part()]}, None, "none")
    assert refusal(verifier, make_request(unsigned)) == "token_form"
    assert refusal(verifier, make_request(truora_token(truora_part(), key=b"another-key-of-22-char"))) == "signature"
