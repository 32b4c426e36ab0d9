"""Automatic top-ups: the port to the payment provider, and the task that charges."""
