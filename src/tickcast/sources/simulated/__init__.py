"""A seeded market, the dialects in which exchanges tell of it, and the feed that paces it.

    settings ─→ market (numbers) ─→ dialect (raw messages) ─→ feed (when they come) ─→ Message

Each step knows nothing of the next one. Nothing is imported here, so that who needs the settings alone pays for no
compiler.
"""
