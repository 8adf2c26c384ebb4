"""What a council can show afterwards: evidence, records of deletion, and packs made from its live settings."""
