"""The exec helper: a program of its own that runs one foreign command and leaves nothing of it behind.

Each process serves one run on the socket that is its standard input: an accepted connection under systemd
(`hookgate-exec@.service`), one end of a socket pair where the daemon starts it itself. It uses the standard library
only, has no configuration but its arguments, knows no secrets and opens no file of the gateway's.
"""
