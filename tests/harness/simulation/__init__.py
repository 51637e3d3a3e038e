"""The whole daemon in one trio run on virtual time, by a seed: what happens, when, and who goes first.

Everything in `gateway` is the real code, wired by its own composition root; the file is a real SQLite file. What is not
real is what `gateway.runtime` is the door to: both clocks, randomness, sockets, signals and threads (`greenlets`, so
that each step of the store's threads has its place in the order), the system calls of the disk as far as they fail
(`disk`), and the world outside: senders, targets, an operator.

`python -m harness.simulation SEED` runs one seed and prints what happened.
"""
