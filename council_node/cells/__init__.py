"""Cells of spreadsheets and databases, and the text that each would be in a CSV file of the same cases.

Only the standard library and the spreadsheet reader are imported here: the reader runs in a process of its own, which
must start quickly and hold little.
"""
