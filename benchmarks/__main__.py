"""`make bench`: every benchmark in turn; figures are ratios within one run, kept in docs/performance.json."""

from benchmarks import end_to_end

if __name__ == "__main__":
    end_to_end.main(["--councils", "50", "--rounds", "5", "--record"])
