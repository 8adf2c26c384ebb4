"""The commands of `mask-holder`, one module for each stage of its life."""
