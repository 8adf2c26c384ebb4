"""A council: answers the plain query, or takes part in SecAgg+ with the same counts."""

import numpy as np
from flwr.app import ArrayRecord, Context, Message, RecordDict
from flwr.client import ClientApp, NumPyClient
from flwr.client.mod import secaggplus_mod
from flwr.clientapp import ClientApp as QueryApp

from council_query.counting import count


class Council(NumPyClient):
    """Gives its counts, with weight 1."""

    def __init__(self, context):
        self.context = context

    def fit(self, _parameters, _config):
        return [counts_of(self.context).astype(np.float64)], 1, {}


def counts_of(context: Context):
    return count(context.node_config["extract"], context.run_config["question"])


plain = QueryApp()
protected = ClientApp(client_fn=lambda context: Council(context).to_client(), mods=[secaggplus_mod])


@plain.query()
def query(message: Message, context: Context) -> Message:
    return Message(RecordDict({"counts": ArrayRecord([counts_of(context)])}), reply_to=message)
