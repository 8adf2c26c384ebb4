"""How the test of a lie says what became of it: the first words of its failure, by which `tests.mutations` counts."""

from typing import Final

SUCCEEDED: Final = "the lie succeeded"
"""It gained something, or a council took it and nobody refused anything after that."""
STOPPED: Final = "another guard refused it"
"""It gained nothing, but what stopped it is not what its row of SECURITY.md names."""
