-- The agent's durable truth. Text times are ISO 8601 UTC; JSON is text.

CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;

-- The newest generation that was accepted per environment: fences jobs that arrive late. Outlives pruned jobs.
CREATE TABLE environment (
  id         TEXT PRIMARY KEY,
  project_id TEXT NOT NULL,
  generation INTEGER NOT NULL
) STRICT;

CREATE TABLE job (
  position         INTEGER PRIMARY KEY AUTOINCREMENT, -- order of acceptance
  deployment_id    TEXT NOT NULL UNIQUE,
  environment_id   TEXT NOT NULL,                     -- empty for a refused job that could not be read
  project_id       TEXT NOT NULL,
  generation       INTEGER NOT NULL,
  kind             TEXT NOT NULL,
  payload          TEXT NOT NULL,                     -- sealed: it holds env values and tokens
  state            TEXT NOT NULL,
  previous_id      TEXT,
  cancel_requested INTEGER NOT NULL DEFAULT 0,
  error            TEXT,                              -- ErrorReport
  final            TEXT                               -- the last deployment report, to answer a hub that asks again
) STRICT;
CREATE INDEX job_by_state ON job (state);
CREATE INDEX job_by_environment ON job (environment_id, position);

CREATE TABLE step (
  deployment_id TEXT NOT NULL REFERENCES job (deployment_id) ON DELETE CASCADE,
  name          TEXT NOT NULL,
  state         TEXT NOT NULL,
  output        TEXT,
  note          TEXT,
  error         TEXT,
  started_at    TEXT NOT NULL,
  ms            REAL,
  undone        INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (deployment_id, name)
) STRICT, WITHOUT ROWID;

-- How far the log file of a step was handed to the outbox, bytes. Kept after the reports are acknowledged.
CREATE TABLE log_end (
  deployment_id TEXT NOT NULL REFERENCES job (deployment_id) ON DELETE CASCADE,
  step          TEXT NOT NULL,
  bytes         INTEGER NOT NULL,
  PRIMARY KEY (deployment_id, step)
) STRICT, WITHOUT ROWID;

-- What serves each environment.
CREATE TABLE live (
  environment_id TEXT PRIMARY KEY,
  project_id     TEXT NOT NULL,
  deployment_id  TEXT NOT NULL,
  entry          TEXT NOT NULL, -- UpstreamEntry
  health_check   TEXT,          -- HealthCheck
  release        TEXT           -- Release
) STRICT, WITHOUT ROWID;

-- Reports that the hub has not acknowledged. AUTOINCREMENT: a number is never given twice, also after deletion.
CREATE TABLE outbox (
  sequence      INTEGER PRIMARY KEY AUTOINCREMENT,
  deployment_id TEXT NOT NULL,
  body          TEXT,              -- a step or deployment report; null for a log range, whose bytes are in the log file
  step          TEXT,
  byte_offset   INTEGER,
  byte_length   INTEGER,
  dropped       INTEGER NOT NULL DEFAULT 0 -- a log range given up because too much was waiting
) STRICT;
CREATE INDEX outbox_logs ON outbox (dropped, sequence) WHERE body IS NULL;
CREATE INDEX outbox_by_deployment ON outbox (deployment_id);
