"""The coordinator's web pages: the public register, the reviewer's budgets, the operator's view.

A process of its own, `coordinator console`, which reads the store that `coordinator serve` writes: the database refuses
its pages every write, so a fault in one can touch no round. Who signed in and who has read an answer is written through
a connection apart. There is no council's figure here to show, and no key that councils trust.
"""
