"""Tries in forks that import everything of the project again, one module of it changed.

For changes that act at import, and for those that no test noticed in a session that had imported everything unchanged.
The process that forks has imported what others wrote, and nothing of the project.
"""

import importlib
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType

import pytest

from harness.mutation.fork import BROKEN, KILLED, SURVIVED
from harness.mutation.groups import module_name
from harness.mutation.session import OPTIONS, Quiet


def others(root: Path) -> list[str]:
    """Give the modules that are imported here and are not the project's."""
    return [
        name
        for name, module in sorted(sys.modules.items())
        if (file := getattr(module, "__file__", None)) and ("site-packages" in file or not file.startswith(f"{root}/"))
    ]


def import_what_others_wrote(modules: Iterable[str]) -> None:
    """Import what a session of tests had imported, so that no fork must."""
    for name in modules:
        with suppress(Exception):
            importlib.import_module(name)


class Changed(MetaPathFinder, Loader):
    """Gives one module with the code of a mutant."""

    def __init__(self, name: str, code: CodeType) -> None:
        self._name = name
        self._code = code

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        """Answer for that module alone."""
        if fullname != self._name:
            return None
        package = self._code.co_filename.endswith("__init__.py")
        spec = ModuleSpec(fullname, self, origin=self._code.co_filename, is_package=package)
        spec.has_location = True
        if package:
            spec.submodule_search_locations = [str(Path(self._code.co_filename).parent)]
        return spec

    def exec_module(self, module: ModuleType) -> None:
        """Run the mutant's code."""
        exec(self._code, module.__dict__)


class Chosen(Quiet):
    """Leaves the chosen tests, in the order in which they were chosen."""

    def __init__(self, tests: Sequence[str]) -> None:
        super().__init__()
        self._place = {test: place for place, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Choose."""
        items[:] = sorted(
            (item for item in items if item.nodeid in self._place), key=lambda item: self._place[item.nodeid]
        )


def run_with(code: CodeType | None, module: str, tests: Sequence[str], scratch: Path) -> int:
    """Import all with that change (None: none) and run the tests in this process, one file after the other."""
    name = module_name(module)
    if name in sys.modules:
        return BROKEN
    if code is not None:
        sys.meta_path.insert(0, Changed(name, code))
    for file in dict.fromkeys(test.partition("::")[0] for test in tests):
        chosen = [test for test in tests if test.partition("::")[0] == file]
        done = pytest.main([*OPTIONS, "-x", f"--basetemp={scratch / Path(file).stem}", file], plugins=[Chosen(chosen)])
        if done != pytest.ExitCode.OK:
            return KILLED
    return SURVIVED
