"""Signing in to the coordinator's pages: who somebody is, what they may do, and the record of what they did.

`rules` without sockets or clock: `names`, `passwords`, `limits`, `sessions`, `same_origin`, `id_token`, `operations`,
`second_person`. The edge: `desk` (store and browser), `provider` (OpenID Connect), `pages` and `openid` (the routes).
"""
