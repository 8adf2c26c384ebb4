"""`make bench`: every benchmark in turn; figures are ratios within one run."""

from benchmarks import end_to_end

if __name__ == "__main__":
    end_to_end.main()
