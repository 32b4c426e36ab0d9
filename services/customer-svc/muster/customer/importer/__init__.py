"""Files of customers, from the upload to the last row."""
