"""What an identify rule makes of the values that a selector reads in a stored event, to tell when that changes.

That is how the body is parsed, and the aliases of what stands on the selector's path, by version. `split` and `unwrap`
are not of it: what they made of a stored event is stored with it; nor are type and version, for the same reason.
"""

import json
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

from gateway.core.selector import Path, Selector, parse_selector


def shape(rule: Mapping[str, Any], selectors: Iterable[Selector]) -> str:
    """Give a digest of it for all that `selectors` read of the body; empty if all is read as it was sent.

    `rule` is one that compiles. What it says of other places of the body makes no difference.
    """
    paths = [selector.path for selector in selectors if selector.root == "body"]
    if not paths:
        return ""
    aliases = _aliases(rule, paths)
    versions = [(glob, _aliases({**rule, **changes}, paths)) for glob, changes in (rule.get("versions") or {}).items()]
    said = {
        "xml": sorted(rule.get("lists") or ()) if rule.get("format") == "xml" else None,
        "texts": sorted(name for name in rule.get("json_texts") or () if _meets(((name,),), paths)),
        "aliases": aliases,
        "versions": versions if any(table != aliases for _, table in versions) else [],
    }
    if said == {"xml": None, "texts": [], "aliases": {}, "versions": []}:
        return ""
    return blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=8).hexdigest()


def _aliases(rule: Mapping[str, Any], paths: Iterable[Path]) -> dict[str, Any]:
    """Give those of what stands on one of `paths`; claims may be the body under another name."""
    tables = rule.get("aliases") or {}
    return {text: table for text, table in tables.items() if _meets(parse_selector(text).path, paths)}


def _meets(one: Path, paths: Iterable[Path]) -> bool:
    """Tell whether one of `paths` may lie within `one`, or around it; compared as far as the first list in either."""
    return any(all(a == b for a, b in zip(one[0], path[0], strict=False)) for path in paths)
