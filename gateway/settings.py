"""What the configuration says, in the terms of the parts that keep to it: listener, store, retention, certificate."""

from gateway.blueprint import Blueprint
from gateway.config.model import Config
from gateway.config.model_server import HttpServer
from gateway.store.contract import Keep
from gateway.store.settings import StoreSettings
from gateway.wire.limits import Limits
from gateway.wire.tls import ServerTls, asking_context, server_context


def listener_limits(config: Config) -> Limits:
    """Give what senders may cost."""
    written = config.server.limits
    return Limits(
        header_bytes=written.header_bytes,
        header_count=written.header_count,
        header_seconds=written.header_timeout,
        body_seconds=written.body_timeout,
        body_rate=float(written.body_rate_min),
        idle_seconds=written.idle_timeout,
        send_seconds=written.send_timeout,
        connections=written.connections,
        connections_per_peer=written.connections_per_peer,
        body_memory=written.body_memory,
    )


def server_tls(blueprint: Blueprint, http: HttpServer) -> ServerTls | None:
    """Load the listener's certificate for what serves it; None if it speaks plain HTTP. Raises ConfigError.

    Clients are asked for a certificate of theirs if a credential wants one.
    """
    tls, places = blueprint.config.server.tls, blueprint.places
    if tls is None:
        return None
    protocols = ("h2", "http/1.1") if http == "hypercorn" else ("http/1.1",)
    asks = any(each.asks_certificate for source in blueprint.sources.values() for each in source.credentials)
    make = asking_context if asks else server_context
    return ServerTls(make(str(places.beside_config(tls.cert)), str(places.beside_config(tls.key)), protocols))


def store_settings(config: Config) -> StoreSettings:
    """Give the store's limits; they hold until the next start."""
    store = config.store
    return StoreSettings(
        queue_bytes=store.queue_bytes,
        queue_wait_seconds=store.queue_wait,
        low_water_bytes=store.low_water,
        dedup_window_ms=int(store.keep.keys * 1000),
    )


def keep_times(config: Config) -> Keep:
    """Give how long settled things are kept."""
    keep = config.store.keep
    return Keep(*(int(seconds * 1000) for seconds in (keep.bodies, keep.metadata, keep.dead, keep.keys)))
