import json
from dataclasses import replace

import pytest
from hookgate_flatten import FlattenOptions, flatten

from gateway.testing import check_transform, sample_message


@pytest.mark.parametrize(
    ("nested", "flat"),
    [
        ({"a": {"b": 1, "c": {"d": "x"}}}, {"a.b": 1, "a.c.d": "x"}),
        ({"a": [1, {"b": 2}]}, {"a.0": 1, "a.1.b": 2}),
        ({"a": {}, "b": [], "c": None}, {"a": {}, "b": [], "c": None}),
    ],
)
def test_levels_become_one(nested, flat):
    message = replace(sample_message(), payload=json.dumps(nested).encode())
    content, content_type = flatten.apply(message, FlattenOptions())
    assert (json.loads(content), content_type) == (flat, "application/json")


def test_a_payload_that_is_no_object_is_an_error():
    with pytest.raises(ValueError, match="expected a JSON object"):
        flatten.apply(replace(sample_message(), payload=b"[1]"), FlattenOptions())


async def test_it_keeps_the_contract_of_transforms():
    await check_transform(flatten, {"separator": "/"})
