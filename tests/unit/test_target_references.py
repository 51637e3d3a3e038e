# ruff: noqa: E501 - a case of a table is one line
"""Secrets and templates that targets refer to, and the table [smtp]: read by the blueprint, shown by nothing."""

import os

import pytest
from blueprint_harness import AUDIT, make_world  # noqa: F401 - the fixture `world`

from gateway.blueprint import difference
from gateway.blueprint.schema import schema
from gateway.config.references import SecretText
from gateway.core.model import Delivery, StoredEvent
from gateway.core.render import CompiledTemplate, Renderer, TemplateSource, message_values

SMTP = '[smtp]\nhost = "mail.acme.example"\nuser = "u"\npassword = { file = "one" }\nfrom = "h@acme.example"\n'
MAIL = '[targets.mail]\ntype = "email"\nto = ["a@acme.example"]\n'
CRM = '[targets.crm]\ntype = "http"\nurl = "https://crm.example/"\nheaders = { Authorization = { file = "one" }, X-A = "b" }\n'
VALUE = "a-secret-of-enough-bytes-one"


def test_a_target_gets_the_mail_server_with_the_keys_that_it_says_anew(world):
    targets = world.build(
        SMTP, MAIL, MAIL.replace("mail]", "other]") + 'smtp = { host = "two.example", port = 2525 }'
    ).targets
    assert targets["mail"].options.smtp.host == "mail.acme.example"
    assert targets["mail"].options.smtp.password.reveal() == VALUE
    other = targets["other"].options.smtp
    assert (other.host, other.port, other.user, other.password.reveal()) == ("two.example", 2525, "u", VALUE)


def test_a_header_gets_its_value_from_a_secret(world):
    headers = world.build(CRM).targets["crm"].options.headers
    assert headers["Authorization"].reveal() == VALUE
    assert headers["X-A"] == "b"


def test_no_secret_is_shown(world):
    for plan in world.build(SMTP, MAIL, CRM, AUDIT).targets.values():
        assert (
            VALUE
            not in f"{plan} {plan.options!r} {plan.options} {plan.options.model_dump()} {plan.options.model_dump_json()}"
        )


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((MAIL,), "config.toml:1:2: [targets.mail]: expected a mail server, found none: write [smtp] with host and from"),
        ((SMTP + "prt = 5", MAIL), 'config.toml:6:1: [smtp].prt: unknown key; did you mean "port"?'),
        ((SMTP.replace("h@acme", "h@@acme"), MAIL), "config.toml:5:1: [smtp].from: expected a plain mail address"),
        ((SMTP.replace("host =", "# "), MAIL), "config.toml:1:2: [smtp].host: expected this key, found none"),
        ((SMTP.replace('"one"', '"absent"'), MAIL), "config.toml:4:1: [smtp].password: secret file secrets/absent: No such file"),
        ((SMTP.replace('{ file = "one" }', '"canary"'), MAIL), "config.toml:4:1: [smtp].password: a secret is never written here"),
        ((SMTP, MAIL + "smtp = { prt = 5 }"), '[targets.mail].smtp.prt: unknown key; did you mean "port"?'),
        ((SMTP, MAIL + 'smtp = { password = { env = "NOSUCH" } }'), "[targets.mail].smtp.password: environment variable NOSUCH is not set"),
        ((SMTP, MAIL + "smtp = 5"), "[targets.mail].smtp: expected a table, found 5"),
        ((SMTP, MAIL + 'smtp = { ca = "/no.pem" }'), "[targets.mail].smtp.ca: TLS file /no.pem: cannot be read"),
        ((SMTP, MAIL + 'html = "no.html"'), "[targets.mail].html: template no.html: cannot be read"),
        ((SMTP, MAIL + 'text = "bad.txt"'), "[targets.mail]: "),
        ((SMTP, MAIL + 'text = "bytes.txt"'), "[targets.mail].text: template bytes.txt: "),
        ((CRM.replace('"one"', '"absent"'),), "[targets.crm].headers.Authorization: secret file secrets/absent: No such file"),
        ((CRM.replace('"one"', '"bytes"'),), "[targets.crm].headers.Authorization: the secret at file bytes is no text"),
        ((CRM.replace('"one"', '"lines"'),), "[targets.crm].headers: the value of header 'Authorization' holds a line end"),
        ((CRM.replace('{ file = "one" }', "5"),), "[targets.crm].headers.Authorization: expected a table, found "),
        ((CRM.replace('file = "one"', 'fil = "one"'),), '[targets.crm].headers.Authorization.fil: unknown key; did you mean "file"?'),
    ],
)  # fmt: skip
def test_C1_what_a_target_refers_to_in_vain_is_told_once_and_without_the_secret(world, parts, expected):
    world.secret("lines", "canary\r\nX: y")
    (world.folder / "secrets/bytes").write_bytes(b"\xff")
    (world.folder / "secrets/bytes").chmod(0o600)
    world.write("bad.txt", "{% if %}")
    (world.folder / "bytes.txt").write_bytes(b"\xff")
    found = world.problems(*parts)
    assert len(found) == 1, found
    assert expected in found[0]
    assert "canary" not in found[0]


def test_C4_a_secret_of_a_target_that_others_can_read_is_refused(world):
    os.chmod(world.folder / "secrets/one", 0o644)  # noqa: PTH101 - the file is named by its folder
    assert "expected mode" in world.problems(CRM)[0]


@pytest.mark.parametrize("parts", [(CRM,), (SMTP, MAIL)])
def test_a_new_secret_in_the_same_file_changes_the_target(world, parts):
    old = world.build(*parts)
    assert difference(old, world.build(*parts), old.config) == []
    world.secret("one", "another-secret")
    assert difference(old, world.build(*parts), old.config) == [
        f"target {'crm' if parts == (CRM,) else 'mail'} changed"
    ]


def test_a_new_template_or_mail_server_changes_the_targets_that_use_it(world):
    world.write("a.txt", "one")
    parts = SMTP, MAIL + 'text = "a.txt"', AUDIT
    old = world.build(*parts)
    world.write("a.txt", "two")
    assert difference(old, world.build(*parts), old.config) == ["target mail changed"]
    world.write("a.txt", "one")
    assert difference(old, world.build(SMTP + "port = 25\n", *parts[1:]), old.config) == ["target mail changed"]


def test_secrets_of_targets_that_only_a_restart_can_change_are_told(world):
    world.environ["TOKEN"] = "x"
    old = world.build(CRM)
    new = world.build(CRM.replace('file = "one"', 'env = "TOKEN"'))
    assert difference(old, new, old.config)[-1] == "target crm keeps its secret (env TOKEN) until the next restart"


def test_a_secret_that_was_not_read_is_not_given():
    with pytest.raises(ValueError, match="was not read"):
        SecretText(None).reveal()


def test_the_schema_knows_secrets_of_targets_and_requires_no_key_that_smtp_gives():
    definitions = schema()["$defs"]
    (form,) = (form for form in definitions["Target"]["anyOf"] if form["properties"]["type"]["const"] == "email")
    assert "smtp" not in form["required"]
    assert "required" not in definitions["email.Smtp"]
    assert set(definitions["Smtp"]["required"]) == {"host", "from"}
    assert "email.SecretReference" not in definitions


def test_a_template_of_a_target_names_what_a_template_of_send_names():
    event = StoredEvent(1, "acme", "main", "order.x", "1", 5, 1_700_000_000_500, b"", b'{"a":[1]}', None)
    delivery = Delivery(1, 0, "mail", "r", 1, 0, 0, None, event.accepted_at)
    text = "{{ source }} {{ event }} {{ body }} {{ payload }} {{ header }} {{ route }} {{ target }}"
    source = TemplateSource("t", text, "text/plain")
    message = Renderer(source).render(delivery, event)
    assert CompiledTemplate(source).fill(message_values(message)) == message.content


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((CRM.replace('{ file = "one" }', '"Bearer canary"'),), "[targets.crm].headers: the value of Authorization stands here for all to read"),
        ((CRM.replace("X-A =", "X-Api-Key ="),), "[targets.crm].headers: the value of X-Api-Key stands here"),
        ((SMTP, MAIL.replace("a@acme.example", "{body.mail}")), '[targets.mail].to: "{body.mail}" lets the sender of an event choose the domain too'),
        ((SMTP, MAIL + 'cc = ["x@{body.d}.example"]'), '[targets.mail].cc: "x@{body.d}.example" lets'),
        ((SMTP.replace('user = "u"', "").replace('password = { file = "one" }', ""), MAIL + 'smtp = { host = "10.0.0.5", tls = "none" }'), "[targets.mail].smtp: mails cross the network to 10.0.0.5 in the clear"),
    ],
)  # fmt: skip
def test_what_is_dangerous_is_warned_of(world, parts, expected):
    found = world.warnings(*parts)
    assert len([warning for warning in found if expected in warning]) == 1, found
    assert "canary" not in "".join(found)


def test_what_is_usual_is_not_warned_of(world):
    found = world.warnings(SMTP, MAIL.replace("a@acme", "{body.user}@acme"), CRM)
    assert [warning for warning in found if "[targets." in warning] == []
