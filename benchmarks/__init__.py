"""Every hop beside the peer it must beat, in the same run, on one core each: ratios, not figures, are what counts."""

import os

os.environ.setdefault("POLARS_MAX_THREADS", "1")  # read when Polars is first imported
