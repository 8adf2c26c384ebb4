"""Measurements: ratios within one run, and seconds beside their floor. Never asserted on a clock in tests."""
