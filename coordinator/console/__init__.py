"""The web pages of the coordinator: a process of its own that reads the coordinator's store."""
