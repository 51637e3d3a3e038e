"""The whole configuration as one typed value. Only shapes: what its parts mean to each other is for the blueprint."""

from pydantic import Field

from gateway.config.model_keys import KeyFetching
from gateway.config.model_pollers import Poller
from gateway.config.model_routes import Alerts, Route
from gateway.config.model_server import Admin, Log, Server
from gateway.config.model_smtp import Smtp
from gateway.config.model_sources import Source
from gateway.config.model_store import Plugins, Presets, Secrets, Store
from gateway.config.model_targets import Policy, Target
from gateway.config.table import Name, Table, written


class Config(Table):
    """One configuration: the file and all that it includes."""

    include: tuple[str, ...] = Field(default=(), examples=[["conf.d/*.toml"]])
    """Files, or globs of files, to read as well, relative to the file that says so. The same table in two files is an
    error."""
    alerts: Alerts | None = None
    """Who is told when something needs a person."""
    server: Server = Server()
    """Where providers reach the gateway."""
    admin: Admin = Admin()
    """Where the operator reaches it."""
    log: Log = Log()
    """The log."""
    store: Store = Store()
    """Where events are made durable."""
    secrets: Secrets = Secrets()
    """Where secret files are."""
    keys: KeyFetching = KeyFetching()
    """How keys that a provider publishes are fetched."""
    presets: Presets = Presets()
    """Where your own presets are."""
    plugins: Plugins = Plugins()
    """Where your own plugins are."""
    smtp: Smtp | None = None
    """The mail server of all targets that send mail."""
    sources: dict[Name, Source] = written({})
    """Who may speak: a table for each source."""
    routes: dict[Name, Route] = written({})
    """What goes where: a table for each route."""
    targets: dict[Name, Target] = written({})
    """How: a table for each target."""
    policies: dict[Name, Policy] = written({})
    """Retry policies by name."""
    pollers: dict[Name, Poller] = written({})
    """What is asked for whether a webhook never came: a table for each list of a provider's API."""
