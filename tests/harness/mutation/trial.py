"""Tries a group's mutants: inside functions by a collected session, the rest and what survives by importing anew."""

import json
import os
import random
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import CodeType

import pytest

from harness.mutation import anew
from harness.mutation.changes import Mutant, mutants, mutated
from harness.mutation.fork import BROKEN, KILLED, SURVIVED, TIMED_OUT, attempt
from harness.mutation.groups import Group
from harness.mutation.reached import Map
from harness.mutation.report import Result, Verdict
from harness.mutation.session import OPTIONS, Session

_VERDICTS: dict[int, Verdict] = {SURVIVED: "survived", KILLED: "killed", TIMED_OUT: "timeout"}


def mutants_of(group: Group, only: str = "") -> list[Mutant]:
    """Give all mutants of the group's modules, or of those whose path has `only` in it."""
    paths = [path for path in group.module_paths() if only in path]
    return [each for path in paths for each in mutants(path, (group.root / path).read_text())]


def sample(chosen: Sequence[Mutant], count: int, seed: int) -> list[Mutant]:
    """Give `count` of them, all if there are no more; the same ones for the same seed."""
    if count >= len(chosen):
        return list(chosen)
    return sorted(random.Random(seed).sample(list(chosen), count), key=lambda each: (each.path, each.number))


def try_all(group: Group, chosen: Sequence[Mutant], *, told: bool = False) -> list[Result]:
    """Give what came of each. Raises RuntimeError if the unchanged code does not pass its own tests."""
    os.chdir(group.root)
    trial = _Trial(group, told=told)
    first = group.folder / "first.json"
    code = _in_fork(lambda: trial.in_a_session(chosen, first))
    if code:
        raise RuntimeError(f"the session of tests ended with {code}: run them by pytest to see why")
    found = json.loads(first.read_text())
    anew.import_what_others_wrote(found["modules"])
    return trial.anew(chosen, found["codes"])


class _Trial:
    def __init__(self, group: Group, *, told: bool) -> None:
        self._group = group
        self._told = told
        self._sources = {path: (group.root / path).read_text() for path in group.module_paths()}

    def in_a_session(self, chosen: Sequence[Mutant], first: Path) -> int:
        """Try what can be tried in a session; write the codes, and the modules that the tests imported, to `first`."""
        session = Session(self._group, lambda collected: self._work(collected, chosen, first))
        first.unlink(missing_ok=True)
        first.parent.mkdir(parents=True, exist_ok=True)
        done = pytest.main([*OPTIONS, *self._group.test_paths()], plugins=[session])
        return 0 if first.exists() else int(done) or 1

    def _work(self, session: Session, chosen: Sequence[Mutant], first: Path) -> None:
        reached = Map(self._group)
        unknown = reached.unknown()
        if unknown:
            self._tell(f"learning what {len(unknown)} files of tests reach")
            reached.learn(session.learn(unknown, self._group))
        codes: list[int | None] = []
        for mutant in chosen:
            tests = reached.tests_of(mutant)
            code = self._code(mutant)
            if not mutant.inside or not tests or code is None:
                codes.append(None)
                continue
            ended = attempt(lambda scratch, c=code, t=tests: session.run_with(c, [*t], scratch), _limit(tests))
            ran = session.ran_before.get(code.co_filename, frozenset())
            doubtful = ended == SURVIVED and any(mutant.lines[0] <= line <= mutant.lines[1] for line in ran)
            codes.append(None if doubtful else ended)
            self._tell_of(mutant, ended)
        first.write_text(json.dumps({"codes": codes, "modules": anew.others(self._group.root)}))

    def anew(self, chosen: Sequence[Mutant], codes: Sequence[int | None]) -> list[Result]:
        """Try again what survived, and what was not tried."""
        reached = Map(self._group)
        self._pass_unchanged(reached, chosen)
        results = []
        for mutant, former in zip(chosen, codes, strict=True):
            code = self._code(mutant)
            # What ran before the tests began is looked at by tests that do not run it themselves.
            tests = reached.tests_of(replace(mutant, inside=False))
            if code is None:
                verdict: Verdict = "killed"  # it is no module: even an import notices
            elif former is not None and former in _VERDICTS:
                verdict = _VERDICTS[former]
            else:
                verdict = self._anew(mutant, code, tests) if tests else "unreached"
            results.append(Result(mutant, verdict))
        return results

    def _anew(self, mutant: Mutant, code: CodeType | None, tests: dict[str, float]) -> Verdict:
        limit = _limit(tests) + 10
        ended = attempt(lambda scratch: anew.run_with(code, mutant.path, [*tests], scratch), limit)
        if ended not in _VERDICTS:
            raise RuntimeError(f"{mutant}: the tool failed, code {ended}; see mutant-trouble.txt beside its folders")
        self._tell_of(mutant, ended)
        return _VERDICTS[ended]

    def _pass_unchanged(self, reached: Map, chosen: Sequence[Mutant]) -> None:
        """Prove that it is the change that fails, not the way it is tried."""
        for path in dict.fromkeys(mutant.path for mutant in chosen):
            unchanged = Mutant(path, 0, (0, 0), "", "unchanged, as it must", "", inside=False)
            tests = reached.tests_of(unchanged)
            if tests and self._anew(unchanged, None, tests) != "survived":
                raise RuntimeError(f"{path}: its tests fail without any change")

    def _code(self, mutant: Mutant) -> CodeType | None:
        try:
            return mutated(mutant, self._sources[mutant.path], str(self._group.root / mutant.path))
        except SyntaxError:
            return None

    def _tell_of(self, mutant: Mutant, code: int | None) -> None:
        self._tell(f"{_VERDICTS.get(code if code is not None else BROKEN, 'not so')}: {mutant}")

    def _tell(self, text: str) -> None:
        if self._told:
            print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _limit(tests: Mapping[str, float]) -> float:
    """Seconds after which it hangs: a machine that does other things, too, is several times slower."""
    return 10 + 6 * sum(tests.values())


def _in_fork(run: Callable[[], int]) -> int:
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            code = run()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
