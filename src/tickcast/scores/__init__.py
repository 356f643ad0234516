"""What a forecast was worth: pure functions of what was said and what came true, for training and for the ledger."""
