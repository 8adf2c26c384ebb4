"""Flower's stock SecAgg+ on given vectors: `SecAggPlusWorkflow` and `secaggplus_mod`, over a grid in memory.

Run by Flower's own Python. Messages are handed over in this process: no serialisation, no network, no start-up, so the
seconds are those of the protocol alone, which is the kindest way to run it.
"""

import argparse
import json
import logging
import time
from collections.abc import Iterable
from types import SimpleNamespace

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Error, Message, RecordDict
from flwr.client import ClientApp, NumPyClient
from flwr.client.mod import secaggplus_mod
from flwr.common import ndarrays_to_parameters, parameters_to_ndarrays
from flwr.common.constant import ErrorCode
from flwr.server import LegacyContext, ServerConfig
from flwr.server.strategy import FedAvg
from flwr.server.workflow import DefaultWorkflow, SecAggPlusWorkflow
from flwr.serverapp import Grid
from flwr.supercore.task_identity import TaskIdentity

CLIP = float(1 << 21)
LEVELS = 1 << 22
"""Twice the clipping range: a quantisation step of exactly 1, so whole numbers come through unrounded."""
UNUSED = "of Flower's interface; its SecAgg+ workflow calls send_and_receive alone"
STAGES = ("setup", "share_keys", "collect_masked_vectors", "unmask")


class Council(NumPyClient):
    """Gives its vector, with weight 1."""

    def __init__(self, vector):
        self.vector = vector

    def fit(self, _parameters, _config):
        return [self.vector], 1, {}


class MemoryGrid(Grid):
    """Every council in this process; some are lost for good before they answer a stage."""

    def __init__(self, vectors, lost, stage, silent):
        self.vectors, self.silent = vectors, silent
        self.lost_from = STAGES.index(stage)
        self.lost = set(range(len(vectors) - lost + 1, len(vectors) + 1))
        self.app = ClientApp(client_fn=self.client, mods=[secaggplus_mod])
        self.contexts = {node: _context(node) for node in range(1, len(vectors) + 1)}
        self.exchange = 0

    def client(self, context: Context):
        return Council(self.vectors[context.node_id - 1]).to_client()

    def set_run(self, run):
        raise NotImplementedError(UNUSED)

    @property
    def run(self):
        return SimpleNamespace(run_id=1)

    def create_message(self, content, message_type, dst_node_id, group_id, ttl=None):
        raise NotImplementedError(UNUSED)

    def get_node_ids(self):
        return list(self.contexts)

    def push_messages(self, messages):
        raise NotImplementedError(UNUSED)

    def pull_messages(self, message_ids):
        raise NotImplementedError(UNUSED)

    def reply(self, message, node):
        """What the council's app answers; its failure is an error for the server, as under Flower's own runtime."""
        try:
            return self.app(_own(message), self.contexts[node])
        except Exception as error:  # noqa: BLE001 - the runtime catches whatever an app raises
            return Message(Error(code=ErrorCode.CLIENT_APP_RAISED_EXCEPTION, reason=repr(error)), reply_to=message)

    def send_and_receive(self, messages: Iterable[Message], *, timeout=None):
        replies = []
        for message in messages:
            node = message.metadata.dst_node_id
            if node in self.lost and self.exchange >= self.lost_from:
                if not self.silent:
                    replies.append(Message(Error(code=ErrorCode.NODE_UNAVAILABLE), reply_to=message))
                continue
            replies.append(self.reply(message, node))
        self.exchange += 1
        return replies


def _own(message: Message) -> Message:
    """The message with records of its own, as each council gets them from any transport."""
    content = RecordDict()
    for name, record in message.content.items():
        content[name] = ConfigRecord(dict(record)) if isinstance(record, ConfigRecord) else record
    return Message(
        content,
        dst_node_id=message.metadata.dst_node_id,
        message_type=message.metadata.message_type,
        group_id=message.metadata.group_id,
    )


def _context(node: int) -> Context:
    return Context(run_id=1, node_id=node, node_config={}, state=RecordDict(), run_config={})


def run(vectors, *, shares, threshold, lost, stage, silent=False):
    """One secure sum: the sum that came out or None, seconds, processor seconds."""
    TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, 0
    council_values = [row.astype(np.float64) for row in vectors]
    strategy = FedAvg(
        fraction_fit=1.0,
        fraction_evaluate=0.0,
        min_fit_clients=len(vectors),
        min_available_clients=len(vectors),
        initial_parameters=ndarrays_to_parameters([np.zeros(1)]),
    )
    context = LegacyContext(context=_context(0), config=ServerConfig(num_rounds=1), strategy=strategy)
    workflow = SecAggPlusWorkflow(
        num_shares=shares,
        reconstruction_threshold=threshold,
        max_weight=1,
        clipping_range=CLIP,
        quantization_range=LEVELS,
        timeout=1.0 if silent else None,
    )
    grid = MemoryGrid(council_values, lost, stage, silent)
    spent = {}

    def timed(grid, context):
        begun, busy = time.perf_counter(), time.process_time()
        workflow(grid, context)
        spent.update(seconds=time.perf_counter() - begun, busy=time.process_time() - busy)

    DefaultWorkflow(fit_workflow=timed)(grid, context)
    record = next(iter(context.state.array_records.values()))
    mean = parameters_to_ndarrays(_parameters(record))[0]
    arrived = len(vectors) - (lost if grid.lost_from < len(STAGES) - 1 else 0)
    total = np.rint(mean * arrived).astype(np.int64) if mean.shape == vectors[0].shape else None
    return total, spent["seconds"], spent["busy"]


def _parameters(record: ArrayRecord):
    return ndarrays_to_parameters(record.to_numpy_ndarrays())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vectors")
    parser.add_argument("total")
    parser.add_argument("--shares", type=int, required=True)
    parser.add_argument("--threshold", type=int, required=True)
    parser.add_argument("--lost", type=int, default=0)
    parser.add_argument("--stage", choices=STAGES, default="collect_masked_vectors")
    parser.add_argument("--silent", action="store_true", help="the lost say nothing; otherwise their loss is reported")
    chosen = parser.parse_args()
    logging.getLogger("flwr").setLevel(logging.CRITICAL)
    total, seconds, busy = run(
        np.load(chosen.vectors),
        shares=chosen.shares,
        threshold=chosen.threshold,
        lost=chosen.lost,
        stage=chosen.stage,
        silent=chosen.silent,
    )
    if total is not None:
        np.save(chosen.total, total)
    print(json.dumps({"seconds": seconds, "processor_seconds": busy, "answered": total is not None}))


if __name__ == "__main__":
    main()
