"""The tool for mutants finds what no test would notice, and nothing else."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.mutation.changes import mutants, mutated
from harness.mutation.fork import TIMED_OUT, attempt
from harness.mutation.journal import Journal
from harness.mutation.sql import changed_sql

DOOR = '''"""A door."""

LIMIT = 3


def tries(kind):
    return {"guest": LIMIT, "owner": LIMIT * 2}[kind]


def is_open(key, count, kind):
    """Tell whether it opens."""
    if not key:
        raise ValueError("no key")
    return key == "right" and count < tries(kind)
'''
CAREFUL = """
import pytest
from door.lock import is_open, tries

@pytest.mark.parametrize("kind, limit", [("guest", 3), ("owner", 6)])
def test_it_opens_by_the_right_key_until_there_were_too_many_tries(kind, limit):
    assert tries(kind) == limit
    assert is_open("right", limit - 1, kind)
    assert not is_open("right", limit, kind)
    assert not is_open("wrong", 0, kind)
    with pytest.raises(ValueError):
        is_open("", 0, kind)
"""
CARELESS = """
def test_it_opens():
    from door.lock import is_open  # nothing of the module is there before

    assert is_open("right", 0, "guest")
    assert not is_open("wrong", 0, "guest")
"""
HARMFUL = """
import os, signal
import pytest
from door.lock import tries

def test_who_is_let_in_too_often_ends_whoever_watches():
    assert tries("guest") > 2
    if tries("guest") > 3:
        os.kill(os.getppid(), signal.SIGKILL)

def test_the_owner_may_try_more_often():
    assert tries("owner") == 6
"""
TOOL = """
import os, time
from harness.mutation.fork import in_fork
in_fork(lambda: print(os.getpid(), flush=True) or time.sleep(600))
"""
RUN = """
import json, pathlib
from harness.mutation.groups import Group
from harness.mutation.trial import mutants_of, try_all
group = Group("door", ["door/lock.py"], ["tests/test_*.py"], pathlib.Path.cwd())
print(json.dumps([[str(each.mutant), each.verdict] for each in try_all(group, mutants_of(group))]))
"""


def tried(folder, tests):
    (folder / "door").mkdir()
    (folder / "door" / "__init__.py").touch()
    (folder / "door" / "lock.py").write_text(DOOR)
    (folder / "tests").mkdir()
    (folder / "tests" / "test_door.py").write_text(tests)
    (folder / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    path = os.pathsep.join([str(folder), str(Path(__file__).parents[1])])
    command = [sys.executable, "-c", RUN]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_of_a_module_whose_tests_look_everywhere_no_mutant_is_left(tmp_path):
    verdicts = tried(tmp_path, CAREFUL)
    assert len(verdicts) > 12
    assert set(verdicts.values()) == {"killed"}


def test_what_the_tests_do_not_look_at_is_found(tmp_path):
    verdicts = tried(tmp_path, CARELESS)
    left = {name.partition(" ")[2] for name, verdict in verdicts.items() if verdict not in ("killed", "timeout")}
    assert left >= {
        "module: 3 → 4",
        "tries: 2 → 3",
        "is_open: < → <=",
        "is_open: without raise ValueError('no key')",
    }
    assert "is_open: == → !=" not in left


def test_a_mutant_that_ends_the_process_which_tries_it_is_noticed_and_the_others_are_tried(tmp_path):
    verdicts = {name.partition(" ")[2]: verdict for name, verdict in tried(tmp_path, HARMFUL).items()}
    assert verdicts["module: 3 → 4"] == "killed"
    assert verdicts["tries: 2 → 3"] == "killed"
    assert verdicts["tries: returns None"] == "killed"
    assert verdicts["is_open: == → !="] != "killed", "nobody looks at what comes behind it"


def test_what_a_run_that_was_ended_had_tried_is_not_tried_again(tmp_path):
    journal = Journal(tmp_path / "journal", "mark", go_on=False)
    journal.begin(4)
    journal.end(4, 1)
    journal.begin(7)
    again = Journal(tmp_path / "journal", "mark", go_on=True)
    assert (again.codes(), again.under_way()) == ({4: 1}, 7)
    other = Journal(tmp_path / "journal", "another mark", go_on=True)
    assert (other.codes(), other.under_way()) == ({}, None), "what it was found of is no more"


def test_what_the_tool_started_ends_with_it():
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen([sys.executable, "-c", TOOL], env=environ, stdout=subprocess.PIPE, text=True) as tool:
        child = Path(f"/proc/{int(tool.stdout.readline())}/stat")
        tool.kill()
    wait_until_ended(child)


def test_a_mutant_differs_from_its_module_in_one_place_and_has_the_same_number_each_time():
    there = mutants("door/lock.py", DOOR)
    assert there == mutants("door/lock.py", DOOR)
    whole = compile(DOOR, "lock.py", "exec", dont_inherit=True)
    assert all(mutated(each, DOOR, "lock.py") != whole for each in there)
    assert not any(each.change == "'no key' → XX…" for each in there), "words for people stay"


@pytest.mark.parametrize(
    ("statement", "change"),
    [
        ("SELECT a FROM t WHERE a <= ? AND b IS NULL", "SELECT a FROM t WHERE a < ? AND b IS NULL"),
        ("SELECT a FROM t WHERE a <= ? AND b IS NULL", "SELECT a FROM t WHERE a <= ? OR b IS NULL"),
        ("SELECT a FROM t WHERE a <= ? AND b IS NULL", "SELECT a FROM t WHERE a <= ? AND b IS NOT NULL"),
        ("INSERT OR IGNORE INTO t VALUES (1)", "INSERT INTO t VALUES (1)"),
    ],
)
def test_sql_is_changed_so_that_it_still_runs(statement, change):
    assert change in [text for _, text in changed_sql(statement)]


def test_a_try_that_hangs_is_ended_and_what_it_started_too(tmp_path):
    def hang(_scratch):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        (tmp_path / "child").write_text(str(child.pid))
        return child.wait()

    assert attempt(hang, 5.0) == TIMED_OUT
    wait_until_ended(Path(f"/proc/{(tmp_path / 'child').read_text()}/stat"))


def wait_until_ended(state):
    until = time.monotonic() + 30
    while state.exists() and state.read_text().split()[2] != "Z":
        assert time.monotonic() < until, "what was started lives on"
        time.sleep(0.01)
