-- No more of a grant is taken back than there was of it, by whatever way.
ALTER TABLE top_up ADD CONSTRAINT top_up_taken_back_within CHECK (taken_back <= credits) NOT VALID;
