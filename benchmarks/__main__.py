"""`make bench`: every benchmark in turn; figures are ratios within one run, kept in docs/performance.json."""

from benchmarks import concurrent_queries, end_to_end, exact_noise, growth, local_counts, real_connections, secure_sum

if __name__ == "__main__":
    end_to_end.main(["--councils", "50", "--rounds", "5", "--record"])
    concurrent_queries.main(["--councils", "20", "--queries", "20", "--repeats", "3", "--record"])
    real_connections.main(["--councils", "100", "--lost", "10", "--repeats", "3", "--record"])
    secure_sum.main(["--record"])
    exact_noise.main(["--record"])
    local_counts.main(["--record"])
    growth.main(["--record"])
