-- Runs of a step that were begun and did not come to their end, with the one that goes on.
ALTER TABLE step ADD COLUMN starts INTEGER NOT NULL DEFAULT 1;
