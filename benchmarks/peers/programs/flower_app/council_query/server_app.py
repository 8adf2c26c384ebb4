"""The centre: asks every council, adds, and leaves the answer with the seconds it took."""

import json
import time
from pathlib import Path

import numpy as np
from flwr.app import Context, Message, RecordDict
from flwr.common import ndarrays_to_parameters
from flwr.server import LegacyContext, ServerConfig
from flwr.server.strategy import FedAvg
from flwr.server.workflow import DefaultWorkflow, SecAggPlusWorkflow
from flwr.serverapp import Grid, ServerApp

app = ServerApp()
LEVELS = 1 << 22


@app.main()
def main(grid: Grid, context: Context) -> None:
    wanted = context.run_config["councils"]
    while len(list(grid.get_node_ids())) < wanted:
        time.sleep(0.1)
    begun = time.perf_counter()
    total = protected(grid, context, wanted) if context.run_config["protected"] else plain(grid)
    seconds = time.perf_counter() - begun
    answer = Path(context.run_config["answer"])
    partial = answer.with_suffix(".partial")
    partial.write_text(json.dumps({"seconds": seconds, "total": total.tolist()}), encoding="utf-8")
    partial.rename(answer)


def plain(grid):
    messages = [
        Message(content=RecordDict(), message_type="query", dst_node_id=node, group_id="1")
        for node in grid.get_node_ids()
    ]
    replies = list(grid.send_and_receive(messages))
    failed = [str(reply.error) for reply in replies if reply.has_error()]
    if failed:
        raise RuntimeError("; ".join(failed))
    return sum(reply.content["counts"].to_numpy_ndarrays()[0] for reply in replies)


def protected(grid, context, wanted):
    strategy = FedAvg(
        fraction_fit=1.0,
        fraction_evaluate=0.0,
        min_fit_clients=wanted,
        min_available_clients=wanted,
        initial_parameters=ndarrays_to_parameters([np.zeros(1)]),
    )
    legacy = LegacyContext(context=context, config=ServerConfig(num_rounds=1), strategy=strategy)
    workflow = SecAggPlusWorkflow(
        num_shares=wanted,
        reconstruction_threshold=context.run_config["threshold"],
        max_weight=1,
        clipping_range=LEVELS / 2,
        quantization_range=LEVELS,
    )
    DefaultWorkflow(fit_workflow=workflow)(grid, legacy)
    [mean] = next(iter(legacy.state.array_records.values())).to_numpy_ndarrays()
    return np.rint(mean * wanted).astype(np.int64)
