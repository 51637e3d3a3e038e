"""Mutation testing: small changes of the code, one at a time, that some test near it must notice.

`python -m harness.mutation GROUP` (see `--help`). `changes` and `sql` make the mutants, `groups` says of which modules
and by which tests, `reached` knows which test runs which line, `session` tries changes inside functions in forks of one
collected session, `anew` those of modules in forks that import everything again; `trial` has both done and survives
what a mutant does, `journal` keeps what came of each, `report` writes the table.
"""
