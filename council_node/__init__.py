"""Everything that runs inside one council."""

import os

# Before gRPC is first imported: its own log lines would stand beside our structured ones.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
