import base64
import json
import re
from pathlib import Path

import pytest
import tomli
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.blueprint import build
from gateway.blueprint.expand import expand
from gateway.blueprint.reference import reference
from gateway.blueprint.schema import kind_options, schema
from gateway.config.load import config_schema, load

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / "config.example.toml").read_text()
PARTS = re.split(r"(\n\s*\n)", EXAMPLE)
BLOCKS = [number for number, part in enumerate(PARTS) if "#| " in part]


def uncommented(number):
    """The whole file with one commented block taken in."""
    lines = [line.removeprefix("#|").removeprefix(" ") for line in PARTS[number].splitlines()]
    return "".join([*PARTS[:number], "\n".join(lines), *PARTS[number + 1 :]])


def own_lines(number):
    return "\n".join(line[3:] for line in PARTS[number].splitlines() if line.startswith("#| "))


ED25519_KEY = b"48075a597e721a156e2e0799de5cc0c5324dc6e7eaf1cdd46250868ec53215dd"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with all that the example's blocks refer to: secrets, certificates, a template, a preset, an include."""
    folder = tmp_path_factory.mktemp("example")
    secrets = folder / "var/secrets"
    secrets.mkdir(parents=True)
    public = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    standard = b"whsec_" + base64.b64encode(b"k" * 32)
    special = {
        "standard": standard,
        "standard-new": standard,
        "signed-public-key": pem,
        "discord-public-key": ED25519_KEY,
        "adyen": b"6b" * 32,
        "sender-authorities": trustme.CA().cert_pem.bytes(),
    }
    for name in re.findall(r'file = "([\w-]+)"', EXAMPLE):
        write_secret(secrets / name, special.get(name, b"a-demonstration-secret-" + name.encode() * 3))
    write_secret(folder / "shop", b"a-demonstration-secret-of-systemd")
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    tls = folder / "tls"
    tls.mkdir()
    authority.cert_pem.write_to_path(tls / "ca.pem")
    certificate.cert_chain_pems[0].write_to_path(tls / "cert.pem")
    certificate.private_key_pem.write_to_path(tls / "key.pem")
    (folder / "ledger.j2").write_text('{"id": {{ event.id }}}')
    (folder / "mails").mkdir()
    (folder / "mails/order.txt").write_text("{{ event.id }}")
    (folder / "mails/order.html").write_text("<p>{{ event.id }}</p>")
    (folder / "presets").mkdir()
    (folder / "presets/gitlab-like.toml").write_text('title = "x"\n[identify]\ntype = "body.event"\nid = "body.id"\n')
    (folder / "plugins").mkdir(mode=0o755)
    for name in ("syslog", "flatten"):
        copy = folder / "plugins" / f"{name}.py"
        copy.write_bytes((ROOT / f"plugins/hookgate-{name}/hookgate_{name}.py").read_bytes())
        copy.chmod(0o644)
    (folder / "conf.d").mkdir()
    (folder / "conf.d/more.toml").write_text('[routes.more]\nsource = "truework"\ntargets = ["audit"]\n')
    return folder


def write_secret(file, content):
    file.write_bytes(content)
    file.chmod(0o600)


def build_in(world, text, monkeypatch):
    monkeypatch.chdir(world)
    file = world / "config.toml"
    file.write_text(text.replace("/etc/hookgate/", f"{world}/"))
    environ = {"CREDENTIALS_DIRECTORY": str(world), "SHOP_TOKEN": "a-demonstration-secret-of-env"}
    return build(load(Path("config.toml"), environ))


def test_the_live_part_of_the_example_builds_without_a_warning(world, monkeypatch):
    blueprint = build_in(world, EXAMPLE, monkeypatch)
    assert blueprint.warnings == ()
    assert set(blueprint.sources) == {"truework", "truora"}


@pytest.mark.parametrize("number", BLOCKS, ids=lambda number: own_lines(number).split("\n", 1)[0])
def test_every_commented_block_of_the_example_builds_on_top_of_the_live_part(world, monkeypatch, number):
    build_in(world, uncommented(number), monkeypatch)


def test_the_example_in_its_long_form_builds_the_same(world, monkeypatch):
    short = build_in(world, EXAMPLE, monkeypatch)
    long = build_in(world, expand(load(world / "config.toml", {})), monkeypatch)
    assert set(long.sources) == set(short.sources)
    assert set(long.routes) == set(short.routes)


def example_tables():
    return [tomli.loads(EXAMPLE), *(tomli.loads(own_lines(number)) for number in BLOCKS)]


def written_keys():
    """Every key of the example as a path, names of tables as *."""
    found = set()

    def walk(value, path):
        found.add(path)
        if isinstance(value, dict):
            for key, below in value.items():
                named = path in {
                    ("sources",),
                    ("routes",),
                    ("targets",),
                    ("policies",),
                    ("pollers",),
                    ("sources", "*", "credentials"),
                }
                walk(below, (*path, "*" if named else key))

    for table in example_tables():
        walk(table, ())
    return found


def known_keys():
    """Every key of the models, as such paths; options of plugins are left out."""
    whole = config_schema()
    found = set()

    def walk(node, path):
        if "$ref" in node:
            walk(whole["$defs"][node["$ref"].rpartition("/")[2]], path)
        for form in [*node.get("anyOf", ()), *node.get("oneOf", ())]:
            walk(form, path)
        for key, below in node.get("properties", {}).items():
            found.add((*path, key))
            walk(below, (*path, key))
        below = node.get("additionalProperties")
        if isinstance(below, dict) and "$ref" in below:
            walk(below, (*path, "*"))

    walk(whole, ())
    return found


def test_every_key_stands_in_the_example():
    holders = {"secret", "token", "password"}
    secrets = {path for path in known_keys() if holders & set(path) and path[-1] in {"credential", "env", "expires"}}
    inline = {path for path in known_keys() if path[:3] == ("targets", "*", "retry") and len(path) == 4}
    verify = {path for path in known_keys() if path[-2:] == ("verify", "scheme")}
    verify |= {
        path for path in known_keys() if path[-1] in {"all_of", "any_of"} and path[:3] != ("sources", "*", "verify")
    }
    items = {path for path in known_keys() if path[:3] == ("pollers", "*", "identify")}  # as for a source
    assert known_keys() - secrets - inline - verify - items - written_keys() == set()


def tables_with(key):
    def walk(value):
        if isinstance(value, dict):
            if key in value:
                yield value
            for below in value.values():
                yield from walk(below)

    return [found for table in example_tables() for found in walk(table)]


@pytest.mark.parametrize("scheme", kind_options("verifiers"))
def test_every_option_of_a_scheme_stands_in_the_example(scheme):
    kinds = kind_options("verifiers")
    shared = {"hmac", "signature"}  # in the same words, each of which stands under one of them
    alike = shared if scheme in shared else {scheme}
    written = {key for table in tables_with("scheme") if table["scheme"] in alike for key in table}
    assert set(kinds[scheme].model_fields) - written == set()


@pytest.mark.parametrize("kind", kind_options("targets"))
def test_every_option_of_a_kind_of_target_stands_in_the_example(kind):
    tables = [target for table in example_tables() for target in table.get("targets", {}).values()]
    written = {key for target in tables if target["type"] == kind for key in target}
    fields = kind_options("targets")[kind].model_fields
    assert {field.alias or name for name, field in fields.items()} - written == set()


def test_the_reference_is_what_the_program_says():
    assert (ROOT / "docs/configuration.md").read_text() == reference(), "run: hookgate schema --markdown"


def test_the_shipped_schema_is_what_the_program_says():
    assert json.loads((ROOT / "docs/config.schema.json").read_text()) == schema(), "run: hookgate schema"


def test_every_key_stands_in_the_reference_with_a_description():
    rows = re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", reference(), re.MULTILINE)
    described = {key for key, text in rows if text.strip()}
    assert {path[-1] for path in known_keys()} - {"*"} <= described
    assert all(text.strip() for _, text in rows)
