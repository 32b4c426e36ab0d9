"""The benches: `make bench`, with BENCH naming one. They print JSON, the last line is the result."""
