"""`build`: from a loaded configuration to a blueprint, or to every problem at once. Starts and connects nothing."""

from dataclasses import replace

from gateway.blueprint.checks import admin_token, check_certificates, check_keys, check_loops, check_server, warn
from gateway.blueprint.expansion import Expansion
from gateway.blueprint.pollers import PollerBuilder
from gateway.blueprint.presets import Presets
from gateway.blueprint.routes import RouteBuilder
from gateway.blueprint.sources import SourceBuilder, own_source
from gateway.blueprint.targets import TargetBuilder
from gateway.blueprint.values import Blueprint
from gateway.config.load import Loaded, validate
from gateway.core.routing import Router
from gateway.plugin_host.catalogue import Catalogue


def build(loaded: Loaded) -> Blueprint:
    """Check and compile a configuration: reads secrets, presets, templates, certificates; imports the plugins it names.

    Raises ConfigError with every problem of the files and of what they refer to.
    """
    report = loaded.report()
    presets = Presets(loaded, report)
    expansion = Expansion(loaded, presets, report)
    expansion.run()
    config, _ = validate(expansion.data, report)
    places, broken = loaded.places, loaded.broken
    check_server(loaded.config, places, report)
    check_keys(loaded.config, report)
    catalogue = Catalogue(places.beside_config(config.plugins.folder))
    token = admin_token(loaded.config, places, report)
    sources = SourceBuilder(config, places, presets, catalogue, report).build()
    smtp = expansion.data.get("smtp")
    targets = TargetBuilder(config, smtp, places, presets, sources, catalogue, broken, report).build()
    pollers = PollerBuilder(config, places, report).build(sources)
    routes = RouteBuilder(config, sources, broken, report).build()
    check_certificates(loaded.config, sources, report)
    check_loops(config, places, targets, report)
    report.check()
    blueprint = Blueprint(
        config=loaded.config,
        places=places,
        sources=sources,
        paths={source.path: source for source in sources.values()},
        router=Router(routes),
        routes={route.name: route for route in routes},
        targets=targets,
        own_source=own_source(),
        pollers=pollers,
        digest=loaded.digest,
        admin_token=token,
    )
    warn(blueprint, presets, report)
    return replace(blueprint, warnings=tuple(map(str, report.warnings)))
