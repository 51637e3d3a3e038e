"""What must hold between tables: TLS, targets that lead back to us; and what works but is probably not meant."""

import os
from collections.abc import Mapping
from typing import Final

from gateway.blueprint.known_types import warn_of_unknown_types
from gateway.blueprint.overlap import overlap
from gateway.blueprint.presets import Presets
from gateway.blueprint.values import Blueprint, Source, TargetPlan
from gateway.config.address import Address
from gateway.config.lines import Path
from gateway.config.model import Config
from gateway.config.model_server import Server
from gateway.config.places import Places
from gateway.config.problems import Report
from gateway.config.secrets import Secret, read_secret
from gateway.config.units import duration_text
from gateway.core.retry import Policy
from gateway.errors import ConfigError
from gateway.plugin import Options
from gateway.plugin_host.foreign import raised
from gateway.runtime import Runtime
from gateway.wire.addresses import is_literal, literal
from gateway.wire.client_tls import TlsOptions, client_context
from gateway.wire.guard import Own, parse_rule
from gateway.wire.tls import server_context
from gateway.wire.url import Url
from gateway.wire.url_template import UrlTemplate

SPAN_MIN_SECONDS: Final = 3600.0
"""Retries that span less lose events in any outage that needs a person."""


def check_keys(config: Config, report: Report) -> None:
    """Check that keys can be fetched as `[keys]` says."""
    for number, rule in enumerate(config.keys.allow):
        try:
            parse_rule(rule)
        except ValueError as error:
            report.add(("keys", "allow", number), str(error))
    if config.keys.ca is None:
        return
    try:
        client_context(TlsOptions(ca=config.keys.ca))
    except OSError as error:
        report.add(("keys", "ca"), str(error))


def check_server(config: Config, places: Places, report: Report) -> None:
    """Check that nothing is served in the clear by accident, and that the certificate can be used."""
    server = config.server
    clear = server.tls is None and not server.behind_proxy and not _is_misspelt(report)
    for number, address in enumerate(server.bind):
        path: Path = ("server", "bind", number)
        if clear and not address.private:
            report.add(
                path,
                f'"{address}" would speak plain HTTP to the network: write tls = {{ cert = …, key = … }}, '
                "or behind_proxy = true if a proxy in front speaks TLS",
            )
        if address in server.bind[:number]:
            report.add(path, f'"{address}" stands here twice: remove one')
    if server.tls is not None:
        try:
            server_context(str(places.beside_config(server.tls.cert)), str(places.beside_config(server.tls.key)))
        except ConfigError as error:
            for problem in error.problems:
                report.add(("server", "tls"), problem)
    if server.http == "hypercorn" and server.tls is None:
        report.warn(
            ("server", "http"),
            "without tls nobody speaks HTTP/2 here, and HTTP/1.1 is only slower: leave http out, or write tls",
        )
    if server.behind_proxy and not server.trusted_proxies:
        report.warn(
            ("server", "behind_proxy"),
            "without trusted_proxies every sender counts as the proxy: name the proxy's address there",
        )
    if config.store.keep.metadata < config.store.keep.bodies:
        report.add(("store", "keep", "metadata"), "expected at least as long as bodies: a body needs its event")


def check_certificates(config: Config, sources: Mapping[str, Source], report: Report) -> None:
    """Check that the listener can ask senders for a certificate, if a credential wants one."""
    for source in sources.values():
        for each in source.credentials:
            if each.asks_certificate and config.server.tls is None:
                report.add(
                    ("sources", source.name, "credentials", each.name),
                    "scheme mtls needs [server] tls: what ends TLS in front of the gateway keeps the certificate",
                )


def _is_misspelt(report: Report) -> bool:
    """Tell whether what says how the listener is protected may just be written wrong, which is told already."""
    below = {path[1] for path in report.paths if path[:1] == ("server",) and len(path) > 1}
    return not below <= Server.model_fields.keys() - {"tls", "behind_proxy"}


def admin_token(config: Config, places: Places, report: Report) -> Secret | None:
    """Check the admin listener's address; give its token if it has one."""
    admin = config.admin
    if admin.bind is not None:
        _check_admin_address(admin.bind, admin.token is not None or report.has(("admin", "token")), config, report)
    if admin.token is None:
        return None
    try:
        return read_secret(admin.token, places, places.beside_config(config.secrets.folder))
    except ValueError as error:
        report.add(("admin", "token"), str(error))
        return None


def _check_admin_address(address: Address, has_token: bool, config: Config, report: Report) -> None:
    path: Path = ("admin", "bind")
    if not address.private:
        report.add(path, f'"{address}" is open to the network: use a unix socket or a loopback address')
    elif address.kind == "tcp" and not has_token:
        report.add(path, 'a TCP address needs a token: write token = { file = "name" }, or use a unix socket')
    bound = () if report.has(("server", "bind")) else config.server.bind
    if address in bound and str(address).rpartition(":")[2] != "0":
        report.add(path, f'"{address}" is an address of [server] bind too: give it its own')


def check_loops(config: Config, places: Places, targets: Mapping[str, TargetPlan], report: Report) -> None:
    """Refuse targets whose URL leads to our own listeners (row C6)."""
    bound = () if report.has(("server", "bind")) else config.server.bind  # what is wrong left its default behind
    own = [*bound, config.admin.bind or Address("unix", "", 0, str(places.admin_socket))]
    for name, plan in targets.items():
        text = getattr(plan.options, "url", None)
        if isinstance(text, str) and any(_leads_to(UrlTemplate(text).url, address) for address in own):
            report.add(
                ("targets", name, "url"),
                "leads to this gateway's own listener, events would go round: write the address of your service",
            )


def _leads_to(url: Url, address: Address) -> bool:
    if address.kind != "tcp":
        return bool(url.socket_path) and os.path.realpath(url.socket_path) == os.path.realpath(address.name)
    own = Own(address.host, address.port)
    name = url.host.rstrip(".")
    hosts = ("127.0.0.1", "::1") if name == "localhost" or name.endswith(".localhost") else (name,)
    return any(is_literal(host) and own.takes(literal(host, url.port), Runtime.is_local) for host in hosts)


def warn(blueprint: Blueprint, presets: Presets, report: Report) -> None:
    """Note what works but is probably not meant."""
    config = blueprint.config
    if not blueprint.sources:
        report.warn((), "no source: every webhook gets 404; what to write here: hookgate providers show NAME")
    if config.alerts is None:
        report.warn((), 'nobody is told when something needs a person: write alerts = { targets = ["NAME"] }')
    if config.store.keep.keys > config.store.keep.metadata:
        report.warn(
            ("store", "keep", "keys"),
            "longer than metadata: if an event that no route took is sent again after it was removed, that is dropped "
            "as a repeat though nobody ever had it; write metadata at least as long",
        )
    _warn_of_idle_credentials(blueprint, report)
    warn_of_unknown_types(blueprint, presets, report)
    for name, plan in blueprint.targets.items():
        try:
            for key, text in plan.options.warnings() if isinstance(plan.options, Options) else ():
                report.warn(("targets", name, key), text)
        except BaseException as error:  # noqa: BLE001 - a plugin's own, in our process
            report.warn(("targets", name), f"the plugin's warnings cannot be had: {raised(error)}")
        span = span_seconds(plan.policy)
        if span < SPAN_MIN_SECONDS and plan.policy.expires is None:
            report.warn(
                ("targets", name, "retry"),
                f"tries end after {duration_text(span)}: an outage that needs a person lasts longer; "
                + _longer(plan.policy),
            )


def _longer(policy: Policy) -> str:
    """Say what to write so that tries go on for days; all of it is needed."""
    instead = "" if policy.attempts is None else " in place of attempts"
    if policy.then is None:
        return f'write then = "6h" and give_up = "72h"{instead}'
    return f'write give_up = "72h"{instead}'


def _warn_of_idle_credentials(blueprint: Blueprint, report: Report) -> None:
    for source in blueprint.sources.values():
        scopes = {(route.events, route.versions) for route in blueprint.routes.values() if route.source == source.name}
        for credential in source.credentials:
            # That of a self-contained route has the scope of its route: found at once, however many there are.
            if (credential.events, credential.versions) not in scopes and not any(
                overlap(credential.events, events) and overlap(credential.versions, versions)
                for events, versions in scopes
            ):
                report.warn(
                    ("sources", source.name, "credentials", credential.name),
                    "no route takes what it speaks for: such events would be kept, and delivered to nobody",
                )


def span_seconds(policy: Policy) -> float:
    """Give the time from the first try to the last, if each fails at once."""
    elapsed, tries = 0.0, 1
    draw = 0.5 if policy.jitter == "full" else 0.0
    while elapsed < SPAN_MIN_SECONDS:
        delay = policy.next_delay(tries, elapsed, draw)
        if delay is None:
            break
        elapsed, tries = elapsed + delay, tries + 1
    return elapsed
