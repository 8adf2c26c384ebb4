"""What people take away from a release: one module for each format, and one table of the formats.

Run by the analyst and the coordinator, never by a council node. Everything is made from the release alone, which is
differentially private already, so that no file here costs any budget.
"""
