"""Everything that runs at a mask holder: a second body without whose part in it no sum can be opened."""

import os

# Before gRPC is first imported: its own log lines would stand beside our structured ones.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
