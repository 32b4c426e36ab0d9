"""Every state that the pure cores can reach within bounds, and the laws in each: `python -m tests.exploration`."""
