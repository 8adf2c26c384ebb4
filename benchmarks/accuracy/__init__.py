"""How exact each statistic is on real figures; `python -m benchmarks.accuracy` writes docs/accuracy.md.

Beside the answer without noise, beside central differential privacy at the same epsilon, and beside noise that every
council adds for itself.
"""
