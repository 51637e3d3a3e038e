"""Mutation testing: small changes of the code, one at a time, that some test near it must notice.

`python -m harness.mutation GROUP` (see `--help`). `changes` and `sql` make the mutants, `groups` says of which modules
and by which tests, `reached` knows which test runs which line, `swap` tries changes inside functions in a fork of one
collected session, `anew` those of modules in a fork that imports everything again, `report` writes the table.
"""
