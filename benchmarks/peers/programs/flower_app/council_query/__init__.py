"""The benchmark's query as a Flower app: counts of two tables, summed over the councils."""
