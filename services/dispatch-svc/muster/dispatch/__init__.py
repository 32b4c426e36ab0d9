"""All that touches a carrier: the saga of a send and its controls, the queue of chunks, submits, receipts, inbound."""
