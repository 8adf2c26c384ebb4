"""Analyses of released tables: post-processing of releases and public figures, which costs no budget."""
