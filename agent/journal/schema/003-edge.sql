-- The newest edge settings that were heard of per environment: a deployment that carries older ones flips to these.
CREATE TABLE edge (
  environment_id TEXT PRIMARY KEY,
  revision       INTEGER NOT NULL,
  routes         TEXT NOT NULL, -- Domain[]
  settings       TEXT NOT NULL  -- EdgeSettings
) STRICT, WITHOUT ROWID;
