import { createHash } from 'node:crypto';
import { SEEN_MS } from './engine.ts';
import { AHEAD_MS, HOLD_MS } from './ledger.ts';
import { EXACT } from './plan.ts';

/** Replicas that start together must not create the same objects at once. The number is arbitrary. */
const LOCK = 7_316_442_081;

const TABLES = `
SELECT pg_advisory_xact_lock(${LOCK});
CREATE TABLE IF NOT EXISTS breakwater_fleet_window (
  key text PRIMARY KEY,
  tat double precision NOT NULL,
  version bigint NOT NULL,
  hold_until double precision NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE IF NOT EXISTS breakwater_fleet_replica (
  fleet text NOT NULL,
  replica text NOT NULL,
  seen_at double precision NOT NULL,
  PRIMARY KEY (fleet, replica)
);
CREATE TABLE IF NOT EXISTS breakwater_fleet_generation (fleet text PRIMARY KEY, generation text NOT NULL);
CREATE TABLE IF NOT EXISTS breakwater_fleet_fact (
  key text PRIMARY KEY,
  content text NOT NULL,
  ends_at double precision NOT NULL
);
CREATE INDEX IF NOT EXISTS breakwater_fleet_fact_ends_at ON breakwater_fleet_fact (ends_at);
`;

/** `lease` in PL/pgSQL, and the rest. `at`: the time in ms; null for the server's clock. `_VERSION`: see `VERSION`. */
const FUNCTIONS = `
CREATE OR REPLACE FUNCTION breakwater_fleet_now_VERSION(at double precision) RETURNS double precision LANGUAGE sql VOLATILE AS $$
  SELECT coalesce(at, extract(epoch FROM clock_timestamp()) * 1000)::double precision
$$;
CREATE OR REPLACE FUNCTION breakwater_fleet_lease_VERSION(
  at double precision, named text, step double precision, burst double precision, want double precision,
  need double precision, owed double precision, units double precision, back double precision,
  known_version bigint, known_tat double precision,
  OUT moment double precision, OUT granted double precision, OUT start double precision, OUT tat double precision,
  OUT version bigint, OUT hold double precision
) LANGUAGE plpgsql AS $$
DECLARE
  old breakwater_fleet_window%ROWTYPE;
BEGIN
  INSERT INTO breakwater_fleet_window VALUES (named, 0, 0, 0) ON CONFLICT DO NOTHING;
  SELECT * INTO old FROM breakwater_fleet_window WHERE key = named FOR UPDATE;
  moment := breakwater_fleet_now_VERSION(at);
  hold := old.hold_until;
  version := old.version + 1;
  IF known_version > old.version THEN
    hold := moment + ${HOLD_MS};
    version := known_version + 1;
  END IF;
  start := greatest(moment, old.tat);
  IF moment < hold THEN start := greatest(start, known_tat); END IF;
  start := start + owed * step;
  IF moment >= hold THEN start := start - greatest(0, least(units * step, back - moment)); END IF;
  granted := least(want, floor((moment + ${AHEAD_MS} - start) / step + burst + ${EXACT}));
  IF moment < hold OR granted < need OR granted < 0 THEN granted := 0; END IF;
  tat := start + granted * step;
  UPDATE breakwater_fleet_window SET tat = breakwater_fleet_lease_VERSION.tat, version = breakwater_fleet_lease_VERSION.version, hold_until = hold
    WHERE key = named;
END
$$;
CREATE OR REPLACE FUNCTION breakwater_fleet_muster_VERSION(
  at double precision, named text, me text, next text, OUT replicas bigint, OUT current text
) LANGUAGE plpgsql AS $$
DECLARE
  moment double precision := breakwater_fleet_now_VERSION(at);
BEGIN
  INSERT INTO breakwater_fleet_replica VALUES (named, me, moment)
    ON CONFLICT (fleet, replica) DO UPDATE SET seen_at = excluded.seen_at;
  DELETE FROM breakwater_fleet_replica WHERE (fleet, replica) IN (
    SELECT fleet, replica FROM breakwater_fleet_replica
      WHERE fleet = named AND seen_at < moment - ${SEEN_MS} FOR UPDATE SKIP LOCKED
  );
  DELETE FROM breakwater_fleet_fact WHERE key IN (
    SELECT key FROM breakwater_fleet_fact WHERE ends_at < moment LIMIT 1000 FOR UPDATE SKIP LOCKED
  );
  INSERT INTO breakwater_fleet_generation VALUES (named, next) ON CONFLICT DO NOTHING;
  SELECT count(*) INTO replicas FROM breakwater_fleet_replica WHERE fleet = named AND seen_at >= moment - ${SEEN_MS};
  SELECT generation INTO current FROM breakwater_fleet_generation WHERE fleet = named;
END
$$;
CREATE OR REPLACE FUNCTION breakwater_fleet_read_VERSION(
  at double precision, named text, OUT there text, OUT remaining double precision
) LANGUAGE plpgsql AS $$
DECLARE
  moment double precision := breakwater_fleet_now_VERSION(at);
BEGIN
  SELECT content, ends_at - moment INTO there, remaining FROM breakwater_fleet_fact WHERE key = named AND ends_at > moment;
END
$$;
CREATE OR REPLACE FUNCTION breakwater_fleet_write_VERSION(at double precision, named text, text_ text, ms double precision) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  moment double precision := breakwater_fleet_now_VERSION(at);
BEGIN
  INSERT INTO breakwater_fleet_fact VALUES (named, text_, moment + ms)
    ON CONFLICT (key) DO UPDATE SET content = excluded.content, ends_at = excluded.ends_at;
END
$$;
CREATE OR REPLACE FUNCTION breakwater_fleet_claim_VERSION(
  at double precision, named text, text_ text, ms double precision, OUT there text, OUT remaining double precision
) LANGUAGE plpgsql AS $$
DECLARE
  moment double precision := breakwater_fleet_now_VERSION(at);
  written text;
BEGIN
  INSERT INTO breakwater_fleet_fact VALUES (named, text_, moment + ms)
    ON CONFLICT (key) DO UPDATE SET content = excluded.content, ends_at = excluded.ends_at
      WHERE breakwater_fleet_fact.ends_at <= moment
    RETURNING key INTO written;
  IF written IS NULL THEN
    SELECT content, ends_at - moment INTO there, remaining FROM breakwater_fleet_fact WHERE key = named;
  END IF;
END
$$;
CREATE OR REPLACE FUNCTION breakwater_fleet_exchange_VERSION(
  at double precision, named text, expected text, text_ text, ms double precision
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  moment double precision := breakwater_fleet_now_VERSION(at);
BEGIN
  IF ms > 0 THEN
    UPDATE breakwater_fleet_fact SET content = text_, ends_at = moment + ms
      WHERE key = named AND content = expected AND ends_at > moment;
  ELSE
    DELETE FROM breakwater_fleet_fact WHERE key = named AND content = expected AND ends_at > moment;
  END IF;
  RETURN FOUND;
END
$$;
`;

/**
 * A hash of the functions, which ends their names. Versions of Breakwater with other functions can use one database at the same time, as
 * they do while replicas are replaced one after another. Each would else replace the functions of the other.
 */
export const VERSION = `_${createHash('sha256').update(FUNCTIONS).digest('hex').slice(0, 8)}`;

/** Each statement may run again. */
export const SCHEMA: string = TABLES + FUNCTIONS.replaceAll('_VERSION', VERSION);

/** Windows that are full again are removed after this long. Their numbers are of no use by then. */
const KEPT_MS = 3_600_000;

export const SWEEP = `DELETE FROM breakwater_fleet_window WHERE greatest(tat, hold_until) < breakwater_fleet_now${VERSION}(NULL) - ${KEPT_MS}`;
