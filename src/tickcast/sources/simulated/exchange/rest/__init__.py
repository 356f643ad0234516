"""What the local exchange answers when it is asked: pages, candles, listings, files."""
