"""Files of customers as they really are, and what a business has afterwards: to prove imports with."""
