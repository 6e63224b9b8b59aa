import { headerOf } from '../../http/headers.ts';
import type { Call } from '../../proxy/call.ts';
import type { CostOptions } from './options.ts';

/** A body beyond this is not read for its cost. */
const LARGEST_BODY_BYTES = 256 * 1024;

/** More than any quota; what claims to cost more is a mistake. */
const HIGHEST_COST = 1e12;

/** What `call` says that it costs; what says nothing sensible costs `fixed`. A body is waited for until it is whole. */
export function costOf(
  call: Pick<Call, 'headers' | 'body'>,
  { fixed, header, pointer }: CostOptions,
): number | Promise<number> {
  const stated = header === undefined ? undefined : headerOf(call.headers, header);
  const cost = stated === undefined ? undefined : amount(Number(stated.trim() || Number.NaN));
  if (cost !== undefined) return cost;
  return pointer === undefined ? fixed : inBody(call, pointer).then((found) => amount(found) ?? fixed);
}

function amount(found: unknown): number | undefined {
  return typeof found === 'number' && found >= 0 && found <= HIGHEST_COST ? found : undefined;
}

async function inBody({ body }: Pick<Call, 'body'>, pointer: string): Promise<unknown> {
  const chunks = await body.whole();
  if (chunks === undefined) return undefined;
  let bytes = 0;
  for (const chunk of chunks) bytes += chunk.length;
  if (bytes === 0 || bytes > LARGEST_BODY_BYTES) return undefined;
  try {
    return pointedAt(JSON.parse(Buffer.concat(chunks).toString()), pointer);
  } catch {
    return undefined; // not JSON: the upstream's business
  }
}

/** What an RFC 6901 pointer points at, or undefined. */
function pointedAt(document: unknown, pointer: string): unknown {
  const steps = pointer.split('/').slice(1);
  return steps.reduce<unknown>((at, step) => {
    const key = step.replaceAll('~1', '/').replaceAll('~0', '~');
    return typeof at === 'object' && at !== null && Object.hasOwn(at, key)
      ? (at as Record<string, unknown>)[key]
      : undefined;
  }, document);
}
