"""The questions one may ask: what the flow said, kept so that a restart, a reader and a verifier see the same rows."""
