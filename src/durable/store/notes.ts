import type { Statement } from './db.ts';

/** A text that outlives the process. */
export interface StoredNote {
  readonly name: string;
  /** Undefined: it is deleted. */
  readonly text: string | undefined;
}

/** The names of notes begin with this in the table of facts, so that no note replaces another fact. */
const PREFIX = 'note:';

/** At most `most` notes. `;` is the character after `:`. */
export const notesStatement = (most: number): Statement => ({
  sql: `SELECT substr(name, ${PREFIX.length + 1}) AS name, value FROM breakwater_fact
    WHERE name >= $1 AND name < $2 ORDER BY name LIMIT $3`,
  params: [PREFIX, `${PREFIX.slice(0, -1)};`, most],
});

export function noteStatement({ name, text }: StoredNote): Statement {
  if (text === undefined)
    return { sql: 'DELETE FROM breakwater_fact WHERE name = $1', params: [PREFIX + name] };
  return {
    sql: `INSERT INTO breakwater_fact (name, value) VALUES ($1, $2)
      ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
    params: [PREFIX + name, text],
  };
}
