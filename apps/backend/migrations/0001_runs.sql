-- Up Migration

-- Every run, from the moment it was accepted. A queued run is here before its caller is told so: the queue only says
-- when it is its turn, and what the queue lost is put into it again from here.
CREATE TABLE runs (
  id           uuid PRIMARY KEY,
  tool         text NOT NULL,
  -- json, not jsonb: it keeps the text as it came, \u0000 included.
  params       json NOT NULL,
  mode         text NOT NULL CHECK (mode IN ('inline', 'queued')),
  status       text NOT NULL CHECK (status IN ('queued', 'running', 'completed', 'failed', 'timeout', 'cancelled')),
  -- Attempts that were begun, those that were lost with their process included.
  attempts     integer NOT NULL DEFAULT 0,
  -- Attempts that failed or timed out; as many as max_attempts are the end.
  failures     integer NOT NULL DEFAULT 0,
  max_attempts integer NOT NULL DEFAULT 1,
  created_at   timestamptz NOT NULL DEFAULT now(),
  -- When the run was last known to be in the queue; null before.
  enqueued_at  timestamptz,
  -- Of the last attempt.
  started_at   timestamptz,
  finished_at  timestamptz,
  duration_ms  double precision,
  result       json,
  error        json
);

-- The history: newest first, with and without its filters.
CREATE INDEX runs_created ON runs (created_at DESC, id DESC);
CREATE INDEX runs_status_created ON runs (status, created_at DESC, id DESC);
CREATE INDEX runs_tool_created ON runs (tool, created_at DESC, id DESC);

-- What has to be in the queue: as small as the queue is.
CREATE INDEX runs_open ON runs (enqueued_at NULLS FIRST) WHERE status IN ('queued', 'running');

-- What is old enough to be deleted.
CREATE INDEX runs_finished ON runs (finished_at) WHERE finished_at IS NOT NULL;

-- Down Migration

DROP TABLE runs;
