"""Plugins: where their kinds are found, and the worker processes in which they run.

The daemon's side is `catalogue`, `describe`, `host`, `process`, `said` and `transformed`; the worker's side is `worker`
and `serve`; `frames` and `codec` are what both speak. Foreign code is imported here only in a worker, unless the
operator wrote `isolation = "inline"`.
"""
