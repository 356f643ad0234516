"""The kinds of models: one file a kind, and one row in `table.py`."""
