"""docs/plugins.md: its plugins run as they stand there, with the configuration that stands beside them."""

import json
import re
from pathlib import Path

import pytest
import tomli
import trio

from gateway.blueprint import build
from gateway.config.load import load
from gateway.plugin import Context, Delivered
from gateway.plugin_host import catalogue, codec, content, host, job, process, said
from gateway.runtime import Runtime
from gateway.testing import check_transform, sample_message
from harness.sink import open_sink

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/plugins.md").read_text()
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
TABLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(name="plans")
def build_plans(tmp_path, monkeypatch):
    """Give the targets of the page, built from a folder with its plugins."""

    def plans(change=lambda text: text):
        monkeypatch.chdir(tmp_path)
        for folder in ("plugins", "secrets"):
            (tmp_path / folder).mkdir(mode=0o755)
        for name, text in (("plugins/pager.py", CODE[0]), ("plugins/shorten.py", CODE[1]), ("secrets/pager", "k" * 20)):
            (tmp_path / name).write_text(text)
            (tmp_path / name).chmod(0o600)
        (tmp_path / "config.toml").write_text(change("\n".join(TABLES)))
        blueprint = build(load(Path("config.toml"), {}))
        assert not [warning for warning in blueprint.warnings if "plugin" in warning]
        return blueprint.targets

    return plans


def test_the_plugin_has_fifteen_lines():
    assert len([line for line in CODE[0].splitlines() if line.strip()]) <= 15


async def test_the_plugin_delivers(plans):
    async with open_sink() as sink:
        plan = plans(lambda text: text.replace("http://127.0.0.1:9000/page", sink.url))["pager"]
        assert (plan.timeout_seconds, plan.concurrency) == (10.0, 4)
        target = plan.kind.build(plan.options)
        await target.open(Context("pager", Runtime(), 4))
        with trio.fail_after(30):
            assert await target.deliver(sample_message()) == Delivered()
        await target.close()
        (arrival,) = sink.arrivals
    assert json.loads(arrival.body)["data"]["state"] == "completed"
    assert arrival.headers["authorization"] == "Bearer " + "k" * 20


async def test_the_transform_writes_what_the_file_gets(plans, tmp_path):
    plan = plans()["short"]
    target = plan.kind.build(plan.options)
    await target.open(Context("short", Runtime(), 1, state_folder=tmp_path))
    with trio.fail_after(30):
        assert [type(each) for each in await target.deliver_many([sample_message()])] == [Delivered]
    await target.close()
    assert json.loads((tmp_path / "short.jsonl").read_text()) == {"id": 1, "state": "completed"}


async def test_the_transform_keeps_its_contract(tmp_path):
    folder = tmp_path / "plugins"
    folder.mkdir(mode=0o755)
    (folder / "shorten.py").write_text(CODE[1])
    (folder / "shorten.py").chmod(0o600)
    found = catalogue.Catalogue(folder).find("transforms", "shorten")
    await check_transform(catalogue.load(found), {"keep": ["id"]})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("after 0.25 s", host.PAUSE_FIRST_SECONDS == 0.25),
        ("up to a minute", host.PAUSE_MAX_SECONDS == 60),
        ("one second after its `timeout`", process.GRACE_SECONDS == 1),
        ("1.2 s for its own `close`", host.CLOSE_SECONDS == 1.2),
        ("At most 1 GiB of memory and 512 descriptors", (job.MEMORY_MAX, job.DESCRIPTORS_MAX) == (2**30, 512)),
        (
            "512 MiB, 256 descriptors, `concurrency` + 32 threads or 1,024 trio tasks",
            (process.GAUGES_MAX, process.SPARE_THREADS) == ({"rss": 2**29, "fds": 256, "tasks": 1024}, 32),
        ),
        ("20 lines in 10 s, 500 characters", (said.LINES_MAX, said.PERIOD_SECONDS, said.LINE_MAX) == (20, 10, 500)),
        ("at most 8 MiB", content.CONTENT_MAX == 8 * 2**20),
        ("`PATH`, the\nlocale, `HOME`, `TZ` and `TMPDIR`", len(job.ENVIRONMENT_KEPT) == 7),
        ("message.save_progress(bytes)", codec.PROGRESS_MAX == 64 * 1024),
    ],
)
def test_every_figure_of_the_page_is_the_program_s(text, value):
    assert text in PAGE
    assert value


def test_the_tables_were_found():
    assert [set(tomli.loads(text)["targets"]) for text in TABLES] == [{"pager"}, {"short"}]
