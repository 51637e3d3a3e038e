"""The groups of modules that are held to their mutants, and the tests near each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]


@dataclass(frozen=True)
class Group:
    """Modules and tests, by patterns from the root."""

    name: str
    modules: Sequence[str]
    tests: Sequence[str]
    root: Path = ROOT

    @property
    def folder(self) -> Path:
        """Where what is known of it is kept."""
        return self.root / ".mutation" / self.name

    def module_paths(self) -> list[str]:
        """Give the modules, from the root."""
        return self._found(self.modules)

    def test_paths(self) -> list[str]:
        """Give the files of tests, from the root."""
        return self._found(self.tests)

    def _found(self, patterns: Sequence[str]) -> list[str]:
        found = {str(path.relative_to(self.root)) for pattern in patterns for path in self.root.glob(pattern)}
        return sorted(found)


def module_name(path: str) -> str:
    """Give the name by which a module is imported."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


GROUPS: Final = (
    Group(
        "verify",
        ["gateway/verifiers/*.py"],
        [
            "tests/unit/test_verify_*.py",
            "tests/unit/test_ingress_verify.py",
            *(
                f"tests/providers/test_{name}*.py"
                for name in ("adyen", "braintree", "certificates", "traps", "vectors")
            ),
            "tests/integration/test_combined_schemes.py",
        ],
    ),
    Group(
        "ssrf",
        ["gateway/wire/addresses.py", "gateway/wire/guard.py", "gateway/wire/dial.py", "gateway/wire/proxies.py"],
        [
            "tests/unit/test_addresses.py",
            "tests/unit/test_wire_*.py",
            "tests/integration/test_client_*.py",
            "tests/integration/test_ssrf.py",
            "tests/integration/test_target_http*.py",
        ],
    ),
    Group(
        "schedule",
        [f"gateway/core/{name}.py" for name in ("lifecycle", "retry", "breaker", "pace", "order")],
        [
            "tests/unit/test_core_*.py",
            "tests/unit/test_blueprint_*.py",
            "tests/unit/test_dispatch_*.py",
            "tests/integration/test_dispatch*.py",
        ],
    ),
    Group(
        "store",
        ["gateway/store/*.py"],
        [
            "tests/unit/test_store_*.py",
            "tests/integration/test_store_*.py",
            "tests/integration/test_dedup_rules.py",
            "tests/integration/test_selections_hostile.py",
        ],
    ),
)
