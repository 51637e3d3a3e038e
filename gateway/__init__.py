"""Hookgate, a self-hosted webhook gateway.

Importing this package starts nothing and reads nothing: the command is `gateway.__main__`, the process is
`gateway.process`, all that runs in it is `gateway.daemon`, and what a plugin may use is `gateway.plugin`.
"""

__version__ = "0.1.0"
