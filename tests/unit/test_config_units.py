from typing import Annotated

import pytest
from pydantic import TypeAdapter, ValidationError

from gateway.config.units import ByteCount, Duration, duration_between, size_between

Wait = TypeAdapter(Annotated[Duration, duration_between("1s", "1h")])
Size = TypeAdapter(Annotated[ByteCount, size_between("1KiB", "1MiB")])


def test_durations_inside_their_bounds_become_seconds():
    assert [Wait.validate_python(text) for text in ("1s", "1.5m", "1h")] == [1.0, 90.0, 3600.0]


@pytest.mark.parametrize("text", ["999ms", "61m", 30, "30", "-1s", "1 s", "", None])
def test_durations_out_of_bounds_or_without_unit_are_refused(text):
    with pytest.raises(ValidationError):
        Wait.validate_python(text)


def test_sizes_inside_their_bounds_become_bytes():
    assert [Size.validate_python(text) for text in ("1KiB", "2kB", "1MiB")] == [1024, 2000, 1_048_576]


@pytest.mark.parametrize("text", ["1023B", "2MiB", 4096, "1 KiB", "1K"])
def test_sizes_out_of_bounds_or_without_unit_are_refused(text):
    with pytest.raises(ValidationError):
        Size.validate_python(text)


def test_a_bound_is_told_as_an_operator_would_write_it():
    with pytest.raises(ValidationError, match='from "1s" to "1h", found "2h"'):
        Wait.validate_python("2h")
    with pytest.raises(ValidationError, match='from "1KiB" to "1MiB", found "2MiB"'):
        Size.validate_python("2MiB")
