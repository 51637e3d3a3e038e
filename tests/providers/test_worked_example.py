"""docs/presets.md: the one file there adds a provider that nobody surveyed, and the template to copy works."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.blueprint.presets import BUILT_IN
from gateway.cli.providers import providers
from gateway.cli.sample import spoil

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "presets.md").read_text()
(EXAMPLE,) = re.findall(r"```toml\n# presets/buildkite\.toml\n(.*?)```", PAGE, re.DOTALL)


def test_the_example_is_of_a_provider_that_has_no_preset():
    assert not (BUILT_IN / "buildkite.toml").exists()
    assert "buildkite" not in (Path(__file__).parent / "surveyed.txt").read_text()


@pytest.mark.parametrize("text", [EXAMPLE, (DOCS / "preset-template.toml").read_text()], ids=["example", "template"])
def test_the_example_and_the_template_pass_the_check_that_the_page_names(tmp_path, text):
    file = tmp_path / "buildkite.toml"
    file.write_text(text)
    answer = CliRunner().invoke(providers, ["check", str(file)])
    assert (answer.exit_code, "yes" in answer.output) == (0, True), answer.output


async def test_the_example_alone_has_its_provider_taken_once_and_a_forger_refused(open_door):
    async with open_door("buildkite", preset=EXAMPLE) as door:
        plan = door.plan(door.preset.samples[0])
        request = plan.request(1, door.runtime.now_ms(), ())
        signed = plan.signed(request)
        assert signed.header(b"x-buildkite-signature").startswith(b"timestamp=")
        assert await door.post(signed) == 200
        assert await door.post(signed) == 200
        again = request._replace(received_at=request.received_at + 60_000)
        assert await door.post(plan.signed(again)) == 200, "a repeat is signed anew"
        assert [row.type for row in await door.events()] == ["build.finished"]
        old = signed._replace(received_at=signed.received_at + 301_000)
        for forged in (request, spoil(request, signed), signed._replace(body=signed.body + b" "), old):
            assert await door.post(forged) == 401
        assert len(await door.events()) == 1
