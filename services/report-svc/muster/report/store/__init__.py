"""SQL as a constant above the function that runs it."""
