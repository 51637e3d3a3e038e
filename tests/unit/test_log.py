"""Logging: one JSON line a record, secrets masked, priorities for journald."""

import io
import json
import logging
from contextlib import suppress
from pathlib import Path

import pytest
import structlog

from gateway.log import MASK, configure


@pytest.fixture
def logged():
    stream = io.StringIO()
    yield stream
    structlog.reset_defaults()
    logging.getLogger().handlers.clear()


def test_a_record_is_one_json_line_whatever_it_holds(logged):
    configure("info", "json", logged, {})
    structlog.get_logger().warning("request.refused", detail="a\nb\x1b[31m", client="192.0.2.1")
    lines = logged.getvalue().splitlines()
    assert len(lines) == 1
    assert json.loads(lines[0])["detail"] == "a\nb\x1b[31m"


@pytest.mark.parametrize("key", ["secret", "x_token", "Authorization", "cookie", "api_key", "password"])
def test_P23_a_value_under_a_secret_looking_key_is_masked(logged, key):
    configure("info", "json", logged, {})
    structlog.get_logger().info("anything", **{key: "hush"})
    assert json.loads(logged.getvalue())[key] == MASK


def test_under_journald_a_line_carries_its_priority(logged):
    configure("info", "auto", logged, {"JOURNAL_STREAM": "8:1"})
    structlog.get_logger().error("store.broken")
    assert logged.getvalue().startswith("<3>{")


def test_what_is_below_the_level_is_not_written(logged):
    configure("warning", "json", logged, {})
    structlog.get_logger().info("event.accepted")
    assert logged.getvalue() == ""


def test_libraries_that_use_standard_logging_come_out_as_json_too(logged):
    configure("info", "json", logged, {})
    logging.getLogger("hypercorn.error").error("it broke: %s", "why")
    assert json.loads(logged.getvalue())["event"] == "it broke: why"


def test_P2_a_line_that_cannot_be_written_costs_nobody_anything():
    with Path("/dev/full").open("w") as full:
        configure("info", "json", full, {})
        structlog.get_logger().error("request.postponed")
        structlog.reset_defaults()
        logging.getLogger().handlers.clear()
        with suppress(OSError):
            full.close()


def test_what_the_fast_json_writer_cannot_write_is_logged_all_the_same(logged):
    configure("info", "json", logged, {})
    structlog.get_logger().info("attempt.failed", reason="half \ud83d", next=2**70)
    assert json.loads(logged.getvalue())["reason"] == "half \ud83d"


def test_the_console_form_is_for_people(logged):
    configure("info", "console", logged, {})
    structlog.get_logger().info("daemon.started", version="1")
    assert "daemon.started" in logged.getvalue()
    assert not logged.getvalue().startswith("{")
