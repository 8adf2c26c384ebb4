"""Differencing, shown at work: attacks on planted households, under exact counts with small ones hidden and under ours.

What is planted (`crowd`), what is asked (`attacks`), how the attacker guesses (`guess`), and how often any guesser can
be right at the cost that the ledger charged (`bound`). The answers are those of a federation that `coordinator
simulate-attacks` runs; nothing here makes noise.
"""
