"""The rules that councils and coordinator share: pure, no I/O, no clock, no ambient randomness."""
