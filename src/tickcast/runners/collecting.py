"""Python's garbage collector beside a stream: what was there before is not looked at again, and the rest less often.

A poll brings thousands of messages that live until the next one. By default the collector looks for cycles after every
700 new objects, and every now and then at everything, which is a pause of its own and more work than the messages are.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

NEW_OBJECTS = 20_000
"""So many more objects than before, and the young ones are looked at: two polls full of messages."""
YOUNG_LOOKS, OLD_LOOKS = 20, 20
"""After so many looks at the young ones the older ones are looked at too; after so many of those, all."""


@contextmanager
def collected_rarely() -> Iterator[None]:
    """While a stream runs; as it was before afterwards."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, YOUNG_LOOKS, OLD_LOOKS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
