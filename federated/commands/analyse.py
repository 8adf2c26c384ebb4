"""`federated analyse`: post-processing of releases, which costs no budget."""

from federated.commands import analyse_consistent
from federated.shell import new_app

__all__ = ["app"]

app = new_app("Analyses of released tables. They cost no budget and need no connection.")
analyse_consistent.register(app)


@app.callback()
def _group() -> None:
    """Analyses of released tables. They cost no budget and need no connection."""
