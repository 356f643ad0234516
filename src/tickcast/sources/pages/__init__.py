"""Pages of history to columns: what a venue answers over HTTP, or keeps in its files; no socket in sight."""
