"""What `federated` does, a module for each group of commands."""
