import { createHash } from 'node:crypto';
import { decoded } from '../../http/decoded.ts';
import { headerOf } from '../../http/headers.ts';
import { valuesAt } from '../../http/json-pointer.ts';
import type { StoredResponse } from '../job.ts';
import type { Condition, Conditions, PolledReply } from './condition.ts';

/** JSON beyond this is not looked into, packed or unpacked. */
export const MAX_JSON_BYTES = 1_048_576;

/** A reply's JSON; undefined where it is none, or too much of it. The bytes stay as they came. */
export function jsonOf({ body, headers, truncated }: StoredResponse): unknown {
  if (truncated || body.byteLength > MAX_JSON_BYTES) return undefined;
  const text = decoded(Buffer.from(body.buffer, body.byteOffset, body.byteLength), headers, MAX_JSON_BYTES);
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A reply as conditions look at it. `error`: it is one by its route's rules. */
export function polledReply(response: StoredResponse, conditions: Conditions, error: boolean): PolledReply {
  const json = asksJson(conditions) ? jsonOf(response) : undefined;
  return { status: response.status, headers: response.headers, json, error };
}

/** The same for two replies in which the conditions would see the same: a timestamp beside them is no news. */
export function stateOf({ success, failure }: Conditions, reply: PolledReply): string {
  const seen = [...failure, ...success].map((condition) => valueOf(condition, reply));
  const text = JSON.stringify([reply.status, seen]);
  return createHash('sha256').update(text).digest('base64url').slice(0, 16);
}

function valueOf({ subject }: Condition, { headers, json }: PolledReply): unknown {
  if (subject === undefined) return null;
  return subject.kind === 'header' ? headerOf(headers, subject.name) : valuesAt(json, subject.pointer);
}

/** A condition would look into a body in which there is nothing to see. */
export function lacksJson(conditions: Conditions, { json }: PolledReply): boolean {
  return json === undefined && asksJson(conditions);
}

function asksJson({ success, failure }: Conditions): boolean {
  return [...success, ...failure].some(
    ({ subject, message }) => subject?.kind === 'json' || message !== undefined,
  );
}
