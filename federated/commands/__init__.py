"""What `federated` does, a module for each group of commands."""

import os

# Before gRPC is first imported: its own log lines would stand beside our one plain sentence.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
