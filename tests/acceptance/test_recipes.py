"""docs/recipes.md, run as it stands: only addresses are others, of servers that play the provider and the company."""

import json
import re
from pathlib import Path

from harness.daemon import running
from harness.senders import post, truework, truora, truora_event
from harness.settings import ORDERS_TOKEN, STATES_TOKEN, TRUORA_KEY
from harness.sink import Fault, open_sink

PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text()
RECIPES = dict(re.findall(r"```toml\n# recipe: (\w+)\n(.*?)```", PAGE, re.DOTALL))
TEMPLATES = re.findall(r"`(\w+\.j2)`[^`]*?```jinja\n(.*?)```", PAGE, re.DOTALL)
KEY = "api-key-51f0"


def lay_out(home, name, **at):
    """Write a recipe with its templates and secrets; `at` says which host is played by which sink."""
    text = RECIPES[name]
    for host, sink in at.items():
        before = {"truework": "https://api.truework.com", "crm": "http://10.0.0.5:9000"}.get(host)
        text = text.replace(before, f"http://127.0.0.1:{sink.port}") if before else text
    for file, content in TEMPLATES:
        (home.folder / file).write_text(content)
    for file, value in (("truework-orders", ORDERS_TOKEN), ("truework-states", STATES_TOKEN), ("truora", TRUORA_KEY)):
        home.write_secret(file, value)
    home.write_secret("truework-api", KEY)
    home.write_secret("truora-api", KEY)
    head = f'[server]\nbind = ["127.0.0.1:0"]\n[admin]\nbind = "unix:{home.folder}/admin.sock"\n'
    home.write_config(f'{head}[store]\nlow_water = "1MiB"\n{text}')


def with_base(home, recipe, sink):
    """Say where the sandbox is, as an operator does."""
    base = f'recipe = "{recipe}"\nbase_url = "http://127.0.0.1:{sink.port}"'
    home.write_config(home.config.read_text().replace(f'recipe = "{recipe}"', base))


async def state(daemon, order, name):
    request = truework(order, STATES_TOKEN, event="verification_request.state.change", state=name)
    assert (await post(daemon.port, request)).status == 200


async def test_an_order_that_wants_somebody_to_act_is_cancelled_and_no_other(home):
    """By the state's both spellings; what is refused for good ends, and no replay cancels anything."""
    async with open_sink() as api:
        lay_out(home, "cancel", truework=api)
        api.choose = lambda arrival: Fault(409 if "late" in arrival.path else 200)
        async with running(home) as daemon:
            for order, name in (("one", "action-required"), ("two", "action-requred"), ("late", "action-required")):
                await state(daemon, order, name)
            await state(daemon, "three", "processing")
            await daemon.wait_settled()
            asked = sorted((each.method, each.path) for each in api.arrivals)
            assert asked == [("PUT", f"/orders/{name}/cancel") for name in ("late", "one", "two")]
            assert {each.headers["authorization"] for each in api.arrivals} == {f"Bearer {KEY}"}
            assert {each.body for each in api.arrivals} == {b"{}"}
            assert {each["state"] for each in (await daemon.ask("/deliveries"))["deliveries"]} == {"delivered"}
            await daemon.cli("replay", "--source", "truework", "--yes", "--json", code=0)
            await daemon.wait_settled()
            assert len(api.arrivals) == 3


async def test_the_order_goes_along_when_it_is_completed(home):
    """Fetched with the recipe of the preset from the sandbox that the operator named."""
    async with open_sink() as api, open_sink() as crm:
        lay_out(home, "order", crm=crm)
        with_base(home, "truework.order", api)
        api.fault = Fault(body=b'{"state": "completed", "reports": []}')
        async with running(home) as daemon:
            assert (await post(daemon.port, truework("ord-7", ORDERS_TOKEN))).status == 200
            await crm.wait_taken(1, 30)
            found = json.loads(crm.taken[0].body)
            assert found["fetched"] == {"state": "completed", "reports": []}
            assert found["payload"]["data"]["order_id"] == "ord-7"
            assert [each.path for each in api.arrivals] == ["/orders/ord-7"]


async def test_the_result_of_a_finished_process_is_fetched_and_fills_a_template(home):
    """Also where it follows the webhook by a moment; the key goes to the provider only."""
    async with open_sink() as api, open_sink() as crm:
        lay_out(home, "result", crm=crm)
        with_base(home, "truora.result", api)
        home.write_config(
            home.config.read_text().replace('decision.j2" }', 'decision.j2" }\nretry = { first = "1s", attempts = 9 }')
        )
        late = iter([Fault(404)])
        api.choose = lambda _: next(late, Fault(body=b'{"status": "success"}'))
        async with running(home) as daemon:
            events = [truora_event("HKE1"), truora_event("HKE2", action="created")]
            assert (await post(daemon.port, truora(events, TRUORA_KEY))).status == 200
            await crm.wait_taken(1, 30)
            found = json.loads(crm.taken[0].body)
            assert (found["process"], found["status"]) == ("IDPHKE1", "success")
            assert {each.path for each in api.arrivals} == {"/v1/processes/IDPHKE1/result"}
            assert {each.headers["truora-api-key"] for each in api.arrivals} == {KEY}
            assert "truora-api-key" not in crm.taken[0].headers
