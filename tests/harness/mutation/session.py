"""One collected pytest session whose tests are run in forks: once to learn which lines they run, once for a mutant."""

import gc
import importlib
import json
import time
from collections.abc import Callable, Container, Iterator, Sequence
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, Final

import coverage
import pytest
from hypothesis import settings

from harness.mutation.fork import BROKEN, KILLED, SURVIVED, UNFIT, attempt
from harness.mutation.groups import Group, module_name

OPTIONS: Final = (
    *("-q", "-s", "-p", "no:cacheprovider", "-p", "no:faulthandler", "--timeout=60"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # plugins are imported before pytest looks
)
LEARNING_SECONDS: Final = 1800.0


class Quiet:
    """Runs chosen tests, stops at the first failure, and always draws the same examples."""

    def __init__(self) -> None:
        self.failed = False

    def pytest_configure(self) -> None:
        """Random examples would make another result each time."""
        settings.register_profile("mutation", derandomize=True, database=None)
        settings.load_profile("mutation")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take note of a failure."""
        self.failed = self.failed or report.failed

    def pytest_report_teststatus(self) -> tuple[str, str, str]:
        """Print nothing."""
        return "", "", ""


class Session(Quiet):
    """Collects once, then hands itself to `work` in place of a run."""

    def __init__(self, group: Group, work: Callable[["Session"], None]) -> None:
        super().__init__()
        self._group = group
        self._work = work
        self.items: dict[str, pytest.Item] = {}
        self._collecting = _watch(group)
        self._collecting.start()
        self._functions: dict[str, list[FunctionType]] = {}
        self.ran_before: dict[str, frozenset[int]] = {}
        """Of each module the lines that collecting ran: a change there may have been needed before a test begins."""

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Work instead of a run."""
        if session.testsfailed:
            raise session.Interrupted(f"{session.testsfailed} files of tests cannot be collected")
        for module in self._group.module_paths():
            importlib.import_module(module_name(module))  # what a test would import later must be there to be changed
        self._collecting.stop()
        data = self._collecting.get_data()
        self.ran_before = {file: frozenset(data.lines(file) or ()) for file in data.measured_files()}
        self.items = {item.nodeid: item for item in session.items}
        self._functions = _functions(set(self.ran_before))
        gc.collect()
        gc.freeze()  # so that a collection in a fork copies no page of what is here
        self._work(self)
        return True

    def run(self, tests: Sequence[str], scratch: Path) -> int:
        """Run them in this process; tell whether one failed."""
        return KILLED if any(failed for _, failed in self._each(tests, scratch)) else SURVIVED

    def _each(self, tests: Sequence[str], scratch: Path) -> Iterator[tuple[str, bool]]:
        """Run one after the other, with the fixtures that they share; give each with whether it failed."""
        items = [self.items[test] for test in tests]
        factory = items[0].config._tmp_path_factory
        factory._basetemp = scratch
        for test, item, following in zip(tests, items, [*items[1:], None], strict=True):
            self.failed = False
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            yield test, self.failed

    def learn(self, files: Sequence[str], group: Group) -> dict[str, dict[str, Any]]:
        """Run all tests of `files`; give, for each file, what `reached.Reached` keeps."""
        told = group.folder / "learned.json"
        told.parent.mkdir(parents=True, exist_ok=True)
        code = attempt(lambda scratch: self._learn(files, group, told, scratch), LEARNING_SECONDS)
        if code != SURVIVED:
            raise RuntimeError(f"the tests could not be run to see what they reach: code {code}")
        return json.loads(told.read_text())  # type: ignore[no-any-return]

    def _learn(self, files: Sequence[str], group: Group, told: Path, scratch: Path) -> int:
        modules, root = group.module_paths(), group.root
        watch = _watch(group)
        watch.start()
        found: dict[str, dict[str, Any]] = {file: {"seconds": {}, "lines": {}} for file in files}
        tests = [test for test in self.items if test.partition("::")[0] in found]
        watch.switch_context(tests[0])
        began = time.monotonic()
        for (test, failed), following in zip(self._each(tests, scratch), [*tests[1:], ""], strict=True):
            if not failed:
                found[test.partition("::")[0]]["seconds"][test] = round(time.monotonic() - began, 4)
            began = time.monotonic()
            watch.switch_context(following)
        watch.stop()
        data = watch.get_data()
        for module in modules:
            for line, tests in data.contexts_by_lineno(str(root / module)).items():
                for test in filter(None, tests):
                    found[test.partition("::")[0]]["lines"].setdefault(test, {}).setdefault(module, []).append(line)
        told.write_text(json.dumps(found))
        return SURVIVED

    def run_with(self, code: CodeType, tests: Sequence[str], scratch: Path) -> int:
        """Put the functions of a changed module in the place of those that are there, and run the tests."""
        if any(test not in self.items for test in tests):
            return BROKEN
        codes = _codes(code)
        new = {_name(each): each for each in codes}
        if len(new) != len(codes):
            return UNFIT  # two functions of one line cannot be told apart
        functions = self._functions.get(code.co_filename, [])
        for function in functions:
            changed = new.get(_name(function.__code__))
            if changed is None or changed.co_freevars != function.__code__.co_freevars:
                return UNFIT
            function.__code__ = changed
        return self.run(tests, scratch) if functions else UNFIT


def _watch(group: Group) -> coverage.Coverage:
    modules = [str(group.root / module) for module in group.module_paths()]
    return coverage.Coverage(data_file=None, include=modules, config_file=False)


def _functions(files: Container[str]) -> dict[str, list[FunctionType]]:
    """Give the functions that there are now, by the file they are written in."""
    found: dict[str, list[FunctionType]] = {}
    for each in gc.get_objects():
        if isinstance(each, FunctionType) and each.__code__.co_filename in files:
            found.setdefault(each.__code__.co_filename, []).append(each)
    return found


def _codes(code: CodeType) -> list[CodeType]:
    inner = [each for each in code.co_consts if isinstance(each, CodeType)]
    return [code, *(deeper for each in inner for deeper in _codes(each))]


def _name(code: CodeType) -> tuple[str, int]:
    return code.co_qualname, code.co_firstlineno
