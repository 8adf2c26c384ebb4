"""What `council-node check` looks at: this computer, the connection, the papers, and the council's own extracts.

Every finding says what, where and how to mend it, and none holds a value of a case. What an extract shows is for the
person at the terminal: it is neither stored nor logged, and since nothing leaves, it costs no budget.
"""

from council_node.checks.findings import Area, Finding, Verdict

__all__ = ["Area", "Finding", "Verdict"]
