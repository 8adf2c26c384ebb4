"""The register and the analysts' service as JSON over HTTP, described by OpenAPI; for programs.

It is served by the process of the web pages and reads what they read. A program says who asks with a token of an
account; no cookie is taken, so no other site can have a browser ask in anybody's name. Who may do what follows from
the one table in `coordinator.sign_in.operations`. A question counts because its analyst signed it, as everywhere.
"""
