"""Keys that a provider publishes, through the receiver: fetched once, renewed within limits, 503 while not there."""

import ssl
from contextlib import asynccontextmanager

import jwt
import orjson
import pytest
import trio
import trio.testing
import trustme
from cryptography.hazmat.primitives.asymmetric import rsa
from hostile_http import hostile, replies
from ingress_bench import Parts

from gateway.config.model_keys import KeyFetching
from gateway.core.model import Request
from gateway.core.published import KeyRef, NeedsKey
from gateway.errors import KeyUnavailableError
from gateway.ingress import keyring
from gateway.ingress.key_fetch import KeyFetcher
from gateway.ingress.keyring import KeyRing
from gateway.runtime import Runtime
from gateway.store.memory import open_memory
from gateway.store.settings import StoreSettings
from gateway.wire.addresses import literal

URL = "https://keys.acme.example/jwks"
CONFIG = f"""
[sources.acme]
provider = "generic"
verify = {{ scheme = "jwt", algorithm = "RS256", jwks = "{URL}" }}
identify = {{ type = "body.type", id = "body.id" }}
[routes.all]
source = "acme"
targets = ["crm"]
[targets.crm]
type = "file"
path = "crm.jsonl"
"""
FIRST, SECOND = rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 2048)
NOW = 1_900_000_000


class Clock(Runtime):
    """A clock that is set by hand."""

    def __init__(self):
        super().__init__()
        self.seconds = 1000.0

    def monotonic(self):
        return self.seconds


class Provider:
    """The provider's server: publishes keys by name, counts who asks, may be down or slow."""

    def __init__(self):
        self.keys = {"first": FIRST}
        self.asked = 0
        self.down = False
        self.gate = None

    async def fetch(self, _ref):
        self.asked += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.down:
            raise KeyUnavailableError("HTTP 500", 10)
        to_jwk = jwt.get_algorithm_by_name("RS256").to_jwk
        keys = [{**to_jwk(key.public_key(), as_dict=True), "kid": name} for name, key in self.keys.items()]
        return orjson.dumps({"keys": keys})


class World(Parts):
    """The receiver of a source whose keys are published."""

    def __init__(self, folder, store):
        self.provider, self.clock = Provider(), Clock()
        super().__init__(folder, store)
        self.receiver._keys = self.ring = KeyRing(self.provider.fetch, self.clock)

    def blueprint(self, text=CONFIG):
        return super().blueprint(text)

    async def post(self, kid="first", key=FIRST, event="e1"):
        claims = {"type": "paid", "id": event, "exp": NOW + 60}
        token = jwt.encode(claims, key, "RS256", headers={"kid": kid}).encode()
        return await self.receiver.handle(Request("POST", "/hooks/acme", "", (), token, "192.0.2.7", NOW * 1000))


@pytest.fixture
def opened(tmp_path):
    @asynccontextmanager
    async def world(kind=World):
        async with open_memory(Runtime(), StoreSettings()) as store, trio.open_nursery() as nursery:
            made = kind(tmp_path, store)
            await nursery.start(made.ring.run)
            yield made
            nursery.cancel_scope.cancel()

    return world


ISSUER = "https://issuer.acme.example"
BY_ISSUER = CONFIG.replace(f'jwks = "{URL}"', f'discovery = true, issuer = "{ISSUER}"')


class TellingWorld(World):
    """The receiver of a source whose issuer tells where its keys are, by `document`."""

    document = orjson.dumps({"issuer": ISSUER, "jwks_uri": URL})

    def __init__(self, folder, store):
        super().__init__(folder, store)
        self.asked = []
        self.receiver._keys = self.ring = KeyRing(self.fetch, self.clock)

    def blueprint(self, text=BY_ISSUER):
        return super().blueprint(text)

    async def fetch(self, ref):
        self.asked.append(ref.url)
        return await self.provider.fetch(ref) if ref.url == URL else self.document

    async def post(self):
        claims = {"type": "paid", "id": "e1", "exp": NOW + 60, "iss": ISSUER}
        token = jwt.encode(claims, FIRST, "RS256", headers={"kid": "first"}).encode()
        return await self.receiver.handle(Request("POST", "/hooks/acme", "", (), token, "192.0.2.7", NOW * 1000))


async def test_an_issuer_is_asked_where_its_keys_are_once_for_many_requests(opened):
    async with opened(TellingWorld) as world:
        assert [(await world.post()).status for _ in range(3)] == [200] * 3
        assert world.asked == [f"{ISSUER}/.well-known/openid-configuration", URL]


async def test_V7_a_sender_gets_503_and_never_401_for_an_issuers_page_that_says_something_else(opened):
    async with opened(TellingWorld) as world:
        world.document = b"<html>We are back soon</html>"
        reply = await world.post()
        assert (reply.status, dict(reply.headers)[b"retry-after"]) == (503, b"60")
        assert world.receiver.refusals.newest(1)[0].reason == "key_unavailable"
        world.document = TellingWorld.document
        assert (await world.post()).status == 503, "it is not asked for again at once"
        world.clock.seconds += keyring.RENEW_SECONDS
        assert (await world.post()).status == 200


async def test_a_sender_gets_503_while_what_is_published_is_no_key_set(opened):
    async with opened() as world:
        world.ring._fetch = _page
        assert (await world.post()).status == 503
        world.ring._fetch = world.provider.fetch
        world.clock.seconds += keyring.RENEW_SECONDS
        assert (await world.post()).status == 200


async def _page(_ref):
    return b"<html>We are back soon</html>"


async def test_a_key_set_is_fetched_once_for_many_requests(opened):
    async with opened() as world:
        assert [(await world.post(event=f"e{n}")).status for n in range(5)] == [200] * 5
        assert world.provider.asked == 1


async def test_requests_that_come_together_share_one_fetch(opened):
    async with opened() as world:
        world.provider.gate = trio.Event()
        statuses = []

        async def send(n):
            statuses.append((await world.post(event=f"e{n}")).status)

        async with trio.open_nursery() as nursery:
            for n in range(10):
                nursery.start_soon(send, n)
            await trio.testing.wait_all_tasks_blocked()
            world.provider.gate.set()
        assert (statuses, world.provider.asked) == ([200] * 10, 1)


async def test_a_sender_gets_503_and_never_401_while_the_key_set_cannot_be_had(opened):
    async with opened() as world:
        world.provider.down = True
        reply = await world.post()
        assert (reply.status, dict(reply.headers)[b"retry-after"]) == (503, b"10")
        assert world.receiver.refusals.newest(1)[0].reason == "key_unavailable"
        world.provider.down = False
        assert (await world.post()).status == 503, "a failure is not repeated at once"
        assert world.provider.asked == 1
        world.clock.seconds += keyring.FAILED_SECONDS
        assert (await world.post()).status == 200


async def test_a_rotated_key_is_found_by_one_renewal_and_random_names_cause_no_more_in_a_minute(opened):
    async with opened() as world:
        await world.post()
        world.provider.keys = {"second": SECOND}
        world.clock.seconds += keyring.RENEW_SECONDS
        assert (await world.post("second", SECOND, "e2")).status == 200
        assert world.provider.asked == 2
        statuses = [(await world.post(f"random-{n}", SECOND, "e3")).status for n in range(20)]
        assert (statuses, world.provider.asked) == ([503] * 20, 2)
        world.clock.seconds += keyring.RENEW_SECONDS
        assert (await world.post("random", SECOND, "e3")).status == 401, "it was asked for and is not there"
        assert (await world.post("second", SECOND, "e4")).status == 200


async def test_what_is_badly_signed_or_not_well_formed_asks_for_nothing(opened):
    async with opened() as world:
        assert (await world.receiver.handle(Request("POST", "/hooks/acme", "", (), b"a.b.c", "", 0))).status == 401
        assert world.provider.asked == 0
        assert (await world.post(key=SECOND)).status == 401
        assert world.provider.asked == 1


async def test_an_old_key_set_is_used_while_it_is_renewed_and_given_up_after_a_day(opened):
    async with opened() as world:
        await world.post()
        world.provider.down = True
        world.clock.seconds += keyring.FRESH_SECONDS + 1
        assert (await world.post(event="e2")).status == 200
        await trio.testing.wait_all_tasks_blocked()
        assert world.provider.asked == 2, "renewed behind the request's back"
        world.clock.seconds += keyring.KEPT_SECONDS
        assert (await world.post(event="e3")).status == 503


async def test_a_reload_keeps_what_was_fetched(opened):
    async with opened() as world:
        await world.post()
        world.provider.down = True
        world.receiver.use(world.blueprint())
        assert (await world.post(event="e2")).status == 200
        assert world.provider.asked == 1


async def test_a_sender_waits_a_few_seconds_for_a_slow_provider_and_the_fetch_goes_on(opened, monkeypatch):
    monkeypatch.setattr(keyring, "WAIT_SECONDS", 0.01)
    async with opened() as world:
        world.provider.gate = trio.Event()
        assert (await world.post()).status == 503
        world.provider.gate.set()
        await trio.testing.wait_all_tasks_blocked()
        assert (await world.post()).status == 200
        assert world.provider.asked == 1


async def test_a_stranger_who_names_ever_new_documents_makes_us_fetch_few(opened):
    async with opened() as world:
        world.provider.down = True
        refused = []
        for n in range(1000):
            with pytest.raises(KeyUnavailableError) as caught:
                await world.ring.fetch(NeedsKey(KeyRef("https://keys.acme.example", b"%d" % n)))
            refused.append(str(caught.value))
        assert world.provider.asked == keyring.NEW_PER_MINUTE
        assert "within a minute" in refused[-1]
        assert len(world.ring._entries) <= keyring.DOCUMENTS_MAX


async def test_a_document_in_use_is_not_pushed_out_by_those_that_never_came(opened):
    async with opened() as world:
        await world.post()
        world.provider.down = True
        for n in range(2 * keyring.DOCUMENTS_MAX):
            world.clock.seconds += 60 / keyring.NEW_PER_MINUTE
            with pytest.raises(KeyUnavailableError):
                await world.ring.fetch(NeedsKey(KeyRef("https://other.example", b"%d" % n)))
        assert world.ring.get(KeyRef(URL)) is not None


def test_the_secret_that_asks_for_a_key_is_in_no_text():
    assert "hidden" not in repr(NeedsKey(KeyRef(URL, b"hidden")))


class Local(Runtime):
    """Every name is this machine."""

    async def resolve(self, host, port, seconds):
        return [literal("127.0.0.1", port)]


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


async def fetched(authority, tmp_path, reply, *, allow=("loopback",), scheme="https"):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("keys.acme.example").configure_cert(context)
    settings = KeyFetching(allow=allow, ca=str(tmp_path / "ca.pem"))
    async with hostile(replies(reply), context) as server:
        fetcher = KeyFetcher(lambda: settings, (), Local())
        return await fetcher.fetch(KeyRef(f"{scheme}://keys.acme.example:{server.port}/jwks"))


def told(body, status=b"200 OK"):
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


async def test_a_document_is_fetched_over_tls(authority, tmp_path):
    assert await fetched(authority, tmp_path, told(b'{"keys":[]}')) == b'{"keys":[]}'


@pytest.mark.parametrize(
    ("reply", "more", "words"),
    [
        (told(b"{}"), {"allow": ()}, "denied"),
        (told(b"{}"), {"scheme": "http"}, "https only"),
        (told(b"no", b"404 Not Found"), {}, "HTTP 404"),
        (told(b"", b"302 Found\r\nLocation: https://elsewhere.example/"), {}, "HTTP 302"),
        (told(b"x" * 70_000), {}, "64 KiB"),
    ],
)
async def test_what_is_inside_in_the_clear_missing_elsewhere_or_too_long_is_no_document(
    authority, tmp_path, reply, more, words
):
    with pytest.raises(KeyUnavailableError, match=words):
        await fetched(authority, tmp_path, reply, **more)
