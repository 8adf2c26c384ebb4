"""Measured beside the peers: each in an environment of its own, used as its own documentation recommends."""
