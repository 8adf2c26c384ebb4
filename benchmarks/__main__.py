"""`make bench`: every benchmark in turn, then beside the peers; ratios within one run, in docs/performance.json."""

import sys

from benchmarks import (
    concurrent_queries,
    console_pages,
    end_to_end,
    exact_noise,
    growth,
    hybrid_masks,
    local_counts,
    real_connections,
    secure_sum,
)
from benchmarks.peers import __main__ as peers

if __name__ == "__main__":
    end_to_end.main(["--councils", "50", "--rounds", "5", "--record"])
    concurrent_queries.main(["--councils", "20", "--queries", "20", "--repeats", "3", "--record"])
    real_connections.main(["--councils", "100", "--lost", "10", "--repeats", "3", "--record"])
    secure_sum.main(["--record"])
    hybrid_masks.main(["--record"])
    exact_noise.main(["--record"])
    local_counts.main(["--record"])
    growth.main(["--record"])
    console_pages.main(["--record"])
    sys.exit(peers.main(["run"]))
