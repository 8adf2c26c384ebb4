"""Everything that runs at the centre."""

import os

# Before gRPC is first imported: its own log lines would stand beside our structured ones.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
