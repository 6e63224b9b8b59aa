import type { SCHEMAS } from './schemas.ts';

/* What the descriptions of operations are put together from. */

export type Json = Record<string, unknown>;

export const ref = (kind: string, name: string): Json => ({ $ref: `#/components/${kind}/${name}` });

export function answer(description: string, schema: keyof typeof SCHEMAS, headers: Json = {}): Json {
  const content = { 'application/json': { schema: ref('schemas', schema) } };
  return { description, ...(Object.keys(headers).length > 0 && { headers }), content };
}

export const RETRY_AFTER = {
  description: 'Seconds until it is worth asking again.',
  schema: { type: 'string' },
};
export const ETAG = { description: 'Of what is shown.', schema: { type: 'string' } };
const LOCATION = { description: 'The status monitor.', schema: { type: 'string' } };

export const MONITOR = answer('The request.', 'Monitor');
export const PENDING = answer('Not done yet.', 'Monitor', { 'Retry-After': RETRY_AFTER, Location: LOCATION });

const PROBLEMS: Readonly<Record<number, string>> = {
  400: 'A parameter is wrong.',
  401: 'The admin token is missing.',
  404: 'There is no such thing, or not for this caller.',
  409: 'It is not in a state to be changed so.',
  410: 'It has been erased.',
  502: 'It has failed, and there was no reply.',
  503: 'The store fails.',
  504: 'Its deadline has passed, and there was no reply.',
};

export function problems(...statuses: readonly number[]): Json {
  return Object.fromEntries(
    statuses.map((status) => [
      String(status),
      {
        description: PROBLEMS[status],
        content: { 'application/problem+json': { schema: ref('schemas', 'Problem') } },
      },
    ]),
  );
}

export const query = (name: string, description: string, schema: Json, required = false): Json => ({
  name,
  in: 'query',
  description,
  required,
  schema,
});

export const ADMIN = { security: [{ adminToken: [] }] };
export const CALLER = { security: [{}, { caller: [] }] };

export function operation(operationId: string, summary: string, more: Json): Json {
  return { operationId, summary, ...more };
}

/** Bodies are given as they came. */
export const ANYTHING = { '*/*': { schema: {} } };
