"""Both stores keep the one contract."""

from functools import partial

import pytest

from gateway.store.memory import open_memory
from gateway.store.memory_tables import MemoryTables
from gateway.store.sqlite import open_sqlite
from gateway.testing.store import STORE_CHECKS


def sqlite(tmp_path):
    return partial(open_sqlite, tmp_path / "hookgate.db")


def memory(tmp_path):
    return partial(open_memory, tables=MemoryTables())


@pytest.fixture(params=[sqlite, memory], ids=lambda store: store.__name__)
def open_store(request, tmp_path):
    return request.param(tmp_path)


@pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
async def test_a_store_conforms(check, open_store):
    await check(open_store)
