"""Where kinds come from, who may write them, and what a configuration makes of them."""

import os

import pytest
import trio
from blueprint_harness import AUDIT, TRUEWORK, make_world  # noqa: F401 - the fixture `world`

from gateway.blueprint.values import TargetPlan
from gateway.core.model import Request
from gateway.errors import PluginError
from gateway.plugin import Context, Delivered, VerificationError
from gateway.plugin_host.catalogue import Catalogue
from gateway.runtime import Runtime
from gateway.testing import sample_message

TARGET = """
from gateway.plugin import Delivered, Options, target
class Words(Options):
    word: str
@target(Words, timeout="7s", concurrency=3, send="payload")
async def deliver(message, options):
    return Delivered(options.word)
"""
TABLE = '[targets.t]\ntype = "mine"\n'


@pytest.fixture(name="folder")
def make_folder(tmp_path):
    (tmp_path / "mine.py").write_text(TARGET)
    for place, mode in ((tmp_path, 0o755), (tmp_path / "mine.py", 0o644)):
        place.chmod(mode)
    return tmp_path


def test_a_file_provides_its_name_and_a_changed_one_has_another_digest(folder):
    first = Catalogue(folder).find("targets", "mine")
    (folder / "mine.py").write_text(TARGET + "\n")
    second = Catalogue(folder).find("targets", "mine")
    assert (first.built_in, first.origin) == (False, f"file {folder}/mine.py")
    assert first.digest != second.digest
    assert Catalogue(folder).find("targets", "other") is None
    assert Catalogue(folder).find("targets", "../mine") is None


@pytest.mark.parametrize(("place", "mode"), [("mine.py", 0o664), ("mine.py", 0o646), ("", 0o775), ("", 0o757)])
def test_a_file_that_others_could_write_is_refused(folder, place, mode):
    (folder / place).chmod(mode)
    with pytest.raises(PluginError, match="chmod go-w"):
        Catalogue(folder).find("targets", "mine")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_another_user_is_refused(folder):
    os.chown(folder / "mine.py", 4242, -1)
    with pytest.raises(PluginError, match="belongs to user 4242"):
        Catalogue(folder).find("targets", "mine")


def test_a_file_cannot_replace_a_built_in_kind(folder):
    (folder / "http.py").write_text(TARGET)
    assert Catalogue(folder).find("targets", "http").built_in


def test_a_plugin_s_own_figures_and_options_make_the_plan(world):
    world.plugin("mine", TARGET)
    plan = world.build(TABLE + 'word = "x"').targets["t"]
    assert (plan.timeout_seconds, plan.concurrency) == (7.0, 3)
    assert world.problems(TABLE + 'wrod = "x"') == [
        "config.toml:1:2: [targets.t].word: expected this key, found none: write it",
        'config.toml:3:1: [targets.t].wrod: unknown key; did you mean "word"?',
    ]


def test_a_changed_plugin_is_a_changed_target(world):
    world.plugin("mine", TARGET)
    table = TABLE + 'word = "x"'
    first = world.build(table).targets["t"].fingerprint
    assert world.build(table).targets["t"].fingerprint == first
    world.plugin("mine", TARGET.replace("7s", "8s"))
    assert world.build(table).targets["t"].fingerprint != first


async def test_an_inline_plugin_runs_in_this_process(world):
    world.plugin("mine", TARGET.replace("options.word", "str(__import__('os').getpid())"))
    plan = world.build(TABLE + 'word = "x"\nisolation = "inline"').targets["t"]
    assert await tried(plan, world) == Delivered(str(os.getpid()))


TRANSFORM = """
from gateway.plugin import Options, transform
class Words(Options):
    word: str
@transform(Words)
def convert(message, options):
    if not message.payload:
        raise ValueError("nothing there")
    return options.word.encode(), "text/plain"
"""


@pytest.mark.parametrize("isolation", ["worker", "inline"])
async def test_a_transform_writes_what_a_target_gets(world, isolation):
    world.plugin("shout", TRANSFORM)
    send = f'send = {{ transform = "shout", word = "HEY" }}\nisolation = "{isolation}"'
    plan = world.build(AUDIT + send).targets["audit"]
    assert isinstance(await tried(plan, world), Delivered)
    assert (world.folder / "audit.jsonl").read_text() == '"HEY"\n'
    assert world.problems(AUDIT + send.replace("word", "wrod")) == [
        "config.toml:4:1: [targets.audit].send.word: expected this key, found none: write it",
        'config.toml:4:31: [targets.audit].send.wrod: unknown key; did you mean "word"?',
    ]
    unknown = world.problems(AUDIT + send.replace("shout", "shuot"))
    assert 'unknown transform "shuot"; did you mean "shout"?' in unknown[0]


async def tried(plan: TargetPlan, world):
    target = plan.kind.build(plan.options)
    await target.open(Context("t", Runtime(), 1, state_folder=world.folder))
    try:
        with trio.fail_after(30):
            if hasattr(target, "deliver_many"):
                return (await target.deliver_many([sample_message()]))[0]
            return await target.deliver(sample_message())
    finally:
        await target.close()


VERIFIER = """
from gateway.plugin import Options, Proof, VerificationError, verifier
class Nothing(Options):
    pass
@verifier(Nothing)
class Mine:
    def __init__(self, options, secret):
        self.secret = secret
    def verify(self, request):
        if request.body != self.secret:
            raise VerificationError("other")
        return Proof()
    def sign(self, request):
        return request._replace(body=self.secret)
"""


def test_a_scheme_of_one_s_own_is_a_file_too(world):
    world.plugin("mine", VERIFIER)
    blueprint = world.build(TRUEWORK + '[sources.truework.verify]\nscheme = "mine"\n', AUDIT)
    (credential,) = blueprint.sources["truework"].credentials
    request = Request("POST", "/", "", (), b"", "", 0)
    assert credential.verifier.verify(credential.verifier.sign(request))
    with pytest.raises(VerificationError):
        credential.verifier.verify(request)


def test_a_plugin_that_could_be_changed_by_others_is_a_problem(world):
    world.plugin("mine", TARGET)
    (world.folder / "plugins" / "mine.py").chmod(0o666)
    (problem,) = world.problems(TABLE + 'word = "x"')
    assert problem.startswith("config.toml:2:1: [targets.t].type: plugin file plugins/mine.py: expected nobody but")
