-- The receipts of a page's messages mostly come in one transaction, in which nothing can be pruned: a page must have room
-- for a second version of each. With less, every fifth receipt moved its message and wrote to the index.
ALTER TABLE message SET (fillfactor = 45);
