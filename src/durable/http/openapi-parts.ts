import type { SCHEMAS } from './schemas.ts';

/* Building blocks of the OpenAPI document. */

export type Json = Record<string, unknown>;

export const ref = (kind: string, name: string): Json => ({ $ref: `#/components/${kind}/${name}` });

export function answer(description: string, schema: keyof typeof SCHEMAS, headers: Json = {}): Json {
  const content = { 'application/json': { schema: ref('schemas', schema) } };
  return { description, ...(Object.keys(headers).length > 0 && { headers }), content };
}

export const RETRY_AFTER = {
  description: 'Seconds to wait before the next poll.',
  schema: { type: 'string' },
};
export const ETAG = { description: 'Identifies this representation.', schema: { type: 'string' } };
const LOCATION = { description: 'Path of the status monitor.', schema: { type: 'string' } };

export const MONITOR = answer('The request.', 'Monitor');
export const PENDING = answer('Not finished yet.', 'Monitor', {
  'Retry-After': RETRY_AFTER,
  Location: LOCATION,
});

const PROBLEMS: Readonly<Record<number, string>> = {
  400: 'A parameter is not valid.',
  401: 'The admin token is missing or wrong.',
  404: 'Not found, or made by another caller.',
  409: 'Its current status does not allow this.',
  410: 'Erased.',
  502: 'The request failed without a reply.',
  503: 'The durable store fails.',
  504: 'The deadline passed without a reply.',
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

/** Stored bodies are returned unchanged, so any media type is possible. */
export const ANYTHING = { '*/*': { schema: {} } };
