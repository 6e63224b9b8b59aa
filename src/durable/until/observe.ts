import { createHash } from 'node:crypto';
import { decoded } from '../../http/decoded.ts';
import { parsedJson } from '../../http/document.ts';
import { headerOf } from '../../http/headers.ts';
import { valuesAt } from '../../http/json-pointer.ts';
import type { StoredResponse } from '../job.ts';
import type { Condition, Conditions, PolledReply } from './condition.ts';

/** Maximum size of JSON that is evaluated, before and after decoding. */
export const MAX_JSON_BYTES = 1_048_576;

/** The parsed JSON of a reply. Undefined if it is not JSON or too long. The stored bytes are not changed. */
export function jsonOf({ body, headers, truncated }: StoredResponse): unknown {
  if (truncated || body.byteLength > MAX_JSON_BYTES) return undefined;
  const text = decoded(Buffer.from(body.buffer, body.byteOffset, body.byteLength), headers, MAX_JSON_BYTES);
  return text === undefined ? undefined : parsedJson(text);
}

/** A reply as conditions evaluate it. `error`: the route's rules classify it as an error. */
export function polledReply(response: StoredResponse, conditions: Conditions, error: boolean): PolledReply {
  const json = asksJson(conditions) ? jsonOf(response) : undefined;
  return { status: response.status, headers: response.headers, json, error };
}

/** A hash of all values that the conditions read. Other differences, such as a timestamp, do not change it. */
export function stateOf({ success, failure }: Conditions, reply: PolledReply): string {
  const seen = [...failure, ...success].map((condition) => valueOf(condition, reply));
  const text = JSON.stringify([reply.status, seen]);
  return createHash('sha256').update(text).digest('base64url').slice(0, 16);
}

function valueOf({ subject }: Condition, { headers, json }: PolledReply): unknown {
  if (subject === undefined) return null;
  return subject.kind === 'header' ? headerOf(headers, subject.name) : valuesAt(json, subject.pointer);
}

/** Whether a condition needs JSON and the body has none. */
export function lacksJson(conditions: Conditions, { json }: PolledReply): boolean {
  return json === undefined && asksJson(conditions);
}

function asksJson({ success, failure }: Conditions): boolean {
  return [...success, ...failure].some(
    ({ subject, message }) => subject?.kind === 'json' || message !== undefined,
  );
}
