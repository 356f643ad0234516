"""Read candles and trades from files: `read_file(path, options=ReadOptions(...))`."""
