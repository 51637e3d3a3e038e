"""What a piece of code costs the processor, whatever else the machine does."""

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def processor_within(seconds: float) -> Iterator[None]:
    """Fail if the block costs the processor more.

    Without the collector: its walk over all that the tests before have left costs many times as much, and may fall
    into any block.
    """
    gc.disable()
    began = time.process_time()
    try:
        yield
        spent = time.process_time() - began
    finally:
        gc.enable()
    assert spent < seconds, f"{spent:.3f} s"
