"""Files of customers as people have them: which kind one is by what is in it, and its records. Streams in, rows out."""
