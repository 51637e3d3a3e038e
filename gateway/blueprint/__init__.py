"""Configuration and plugins, checked and compiled into one immutable value, looked up once.

`build` turns a loaded configuration into a `Blueprint`, or raises ConfigError with every problem. It starts nothing and
opens nothing: `hookgate check` builds one and throws it away; a reload builds one beside the running one.
"""

from gateway.blueprint.build import build
from gateway.blueprint.difference import difference
from gateway.blueprint.values import OWN_SOURCE, Blueprint, Credential, Source, TargetPlan

__all__ = ["OWN_SOURCE", "Blueprint", "Credential", "Source", "TargetPlan", "build", "difference"]
