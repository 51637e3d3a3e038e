"""Tries a group's mutants: inside functions by a collected session, the rest and what survives by importing anew.

Each stage has a process of its own, and each try another beneath it. A mutant that ends its stage was noticed, too:
another process goes on with the next one.
"""

import json
import os
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import CodeType

import pytest

from harness.mutation import anew
from harness.mutation.changes import Mutant, mutants, mutated
from harness.mutation.fork import BROKEN, KILLED, SURVIVED, TIMED_OUT, UNFIT, attempt, in_fork
from harness.mutation.groups import Group
from harness.mutation.journal import Code, Journal
from harness.mutation.reached import SECONDS_MAX, Map
from harness.mutation.report import Result, Verdict
from harness.mutation.session import OPTIONS, Session

_VERDICTS: dict[Code, Verdict] = {SURVIVED: "survived", KILLED: "killed", TIMED_OUT: "timeout"}
_TOLD = {**_VERDICTS, UNFIT: "imported anew", None: "imported anew", BROKEN: "the tool failed"}


def mutants_of(group: Group, only: str = "") -> list[Mutant]:
    """Give all mutants of the group's modules, or of those whose path has `only` in it."""
    paths = [path for path in group.module_paths() if only in path]
    return [each for path in paths for each in mutants(path, (group.root / path).read_text())]


def sample(chosen: Sequence[Mutant], count: int, seed: int) -> list[Mutant]:
    """Give `count` of them, all if there are no more; the same ones for the same seed."""
    if count >= len(chosen):
        return list(chosen)
    return sorted(random.Random(seed).sample(list(chosen), count), key=lambda each: (each.path, each.number))


def try_all(
    group: Group, chosen: Sequence[Mutant], *, told: bool = False, go_on: bool = False, seconds: float = SECONDS_MAX
) -> list[Result]:
    """Give what came of each, tried by tests that take about so many `seconds`.

    With `go_on`, those are not tried again that a run of the same, which was ended, had tried.

    Raises RuntimeError if the unchanged code does not pass its own tests, or if it is changed meanwhile.
    """
    os.chdir(group.root)
    trial = _Trial(group, chosen, seconds, told=told, go_on=go_on)
    trial.stage(trial.sessions, range(len(chosen)), trial.in_a_session, of_lost=None)
    codes = trial.sessions.codes()
    rest = [number for number in range(len(chosen)) if codes[number] not in _VERDICTS]
    trial.stage(trial.imports, rest, trial.anew, of_lost=KILLED)
    return trial.results()


class _Trial:
    def __init__(self, group: Group, chosen: Sequence[Mutant], seconds: float, *, told: bool, go_on: bool) -> None:
        self._group = group
        self._seconds = seconds
        self._chosen = chosen
        self._told = told
        self._sources = {path: (group.root / path).read_text() for path in group.module_paths()}
        self._modules = group.folder / "modules.json"
        self._sound: set[str] = set()
        """Modules that pass their tests as they are when they are imported anew."""
        mark = Map(group).mark([str(seconds), *map(str, chosen)])
        self.sessions = Journal(group.folder / "sessions.jsonl", mark, go_on=go_on)
        self.imports = Journal(group.folder / "imports.jsonl", mark, go_on=go_on)

    def stage(
        self, journal: Journal, numbers: Sequence[int], work: Callable[[Sequence[int]], None], *, of_lost: Code
    ) -> None:
        """Have a process of its own try them; where a try ends that process, note `of_lost`, and go on with another."""
        while left := [number for number in numbers if number not in journal.codes()]:
            known = len(journal.codes())
            ended = in_fork(lambda: work(left))
            lost = journal.under_way() if ended < 0 else None
            if lost is not None:
                self._tell(f"ended the process that tried it (signal {-ended}): {self._chosen[lost]}")
                journal.end(lost, of_lost)
            elif ended or len(journal.codes()) == known:
                raise RuntimeError(f"mutants could not be tried, code {ended}: see above, or run the tests by pytest")

    def in_a_session(self, numbers: Sequence[int]) -> None:
        """Try what can be tried in a collected session."""
        session = Session(self._group, lambda collected: self._work(collected, numbers))
        done = pytest.main([*OPTIONS, *self._group.test_paths()], plugins=[session])
        if done != pytest.ExitCode.OK:
            raise RuntimeError(f"the session of tests ended with {done!r}")

    def _work(self, session: Session, numbers: Sequence[int]) -> None:
        reached = Map(self._group, self._seconds)
        if unknown := reached.unknown():
            self._tell(f"learning what {len(unknown)} files of tests reach")
            reached.learn(session.learn(unknown, self._group))
        self._modules.write_text(json.dumps(anew.others(self._group.root)))
        for number in numbers:
            self._try(self.sessions, number, lambda n=number: self._in_session(session, reached, self._chosen[n]))

    def _in_session(self, session: Session, reached: Map, mutant: Mutant) -> Code:
        tests, code = reached.tests_of(mutant), self._code(mutant)
        if not mutant.inside or not tests or code is None:
            return None
        ended = attempt(lambda scratch: session.run_with(code, [*tests], scratch), _limit(tests))
        ran = session.ran_before.get(code.co_filename, frozenset())
        doubtful = ended == SURVIVED and any(mutant.lines[0] <= line <= mutant.lines[1] for line in ran)
        return None if doubtful else ended

    def anew(self, numbers: Sequence[int]) -> None:
        """Try again what survived, and what was not tried."""
        reached = Map(self._group, self._seconds)
        if reached.unknown():
            raise RuntimeError("tests or modules were changed while mutants were tried: begin again, on a copy")
        anew.import_what_others_wrote(json.loads(self._modules.read_text()))
        for number in numbers:
            self._try(self.imports, number, lambda n=number: self._anew(reached, self._chosen[n]))

    def _anew(self, reached: Map, mutant: Mutant) -> Code:
        code = self._code(mutant)
        if code is None:
            return KILLED  # it is no module: even an import notices
        # What ran before the tests began is looked at by tests that do not run it themselves.
        tests = reached.tests_of(replace(mutant, inside=False))
        ended = self._import(mutant, code, tests) if tests else None
        if ended in (KILLED, TIMED_OUT) and mutant.path not in self._sound:
            self._pass_unchanged(reached, mutant.path)
        return ended

    def _import(self, mutant: Mutant, code: CodeType | None, tests: dict[str, float]) -> int:
        limit = _limit(tests) + 10
        ended = attempt(lambda scratch: anew.run_with(code, mutant.path, [*tests], scratch), limit)
        if ended not in _VERDICTS:
            raise RuntimeError(f"{mutant}: the tool failed, code {ended}; see mutant-trouble.txt beside its folders")
        return ended

    def _pass_unchanged(self, reached: Map, path: str) -> None:
        """Prove that it is the change that fails, not the way it is tried."""
        unchanged = Mutant(path, 0, (0, 0), "", "unchanged, as it must", "", inside=False)
        if self._import(unchanged, None, reached.tests_of(unchanged)) != SURVIVED:
            raise RuntimeError(f"{path}: its tests fail without any change")
        self._sound.add(path)

    def results(self) -> list[Result]:
        """Give what came of each in the end."""
        sessions, imports = self.sessions.codes(), self.imports.codes()
        codes = [imports.get(number, sessions[number]) for number in range(len(self._chosen))]
        return [Result(each, _VERDICTS.get(code, "unreached")) for each, code in zip(self._chosen, codes, strict=True)]

    def _try(self, journal: Journal, number: int, run: Callable[[], Code]) -> None:
        journal.begin(number)
        code = run()
        journal.end(number, code)
        self._tell(f"{_TOLD[code]}: {self._chosen[number]}")

    def _code(self, mutant: Mutant) -> CodeType | None:
        try:
            return mutated(mutant, self._sources[mutant.path], str(self._group.root / mutant.path))
        except SyntaxError:
            return None

    def _tell(self, text: str) -> None:
        if self._told:
            print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _limit(tests: Mapping[str, float]) -> float:
    """Seconds after which it hangs: a machine that does other things, too, is several times slower."""
    spent = sum(tests.values())
    return 10 + min(6 * spent, spent + 300)
