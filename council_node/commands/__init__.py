"""The commands of `council-node`, a module for each thing that people come to do."""
