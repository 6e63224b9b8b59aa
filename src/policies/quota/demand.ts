import { headerOf } from '../../http/headers.ts';
import { parsePointer, valuesAt } from '../../http/json-pointer.ts';
import { limitShape } from '../../http/path-shape.ts';
import type { Call } from '../../proxy/call.ts';
import type { QuotaOptions } from './options.ts';
import { namedScope } from './scope.ts';

/** A body beyond this is not read. */
const LARGEST_BODY_BYTES = 256 * 1024;

/** More than any quota; what claims to cost more is a mistake. */
const HIGHEST_COST = 1e12;

/** What a call says about itself. */
export interface Stated {
  readonly cost: number;
  /** What it asks for: see `limitShape`; or what its body names. */
  readonly shape: string;
}

type Asked = Pick<QuotaOptions, 'cost' | 'scope'>;
type Asking = Pick<Call, 'method' | 'target' | 'headers' | 'body'>;

/** What says nothing sensible costs `fixed` and is told by its path. A body is waited for until it is whole, where it has to be read. */
export function statedBy(call: Asking, { cost, scope }: Asked): Stated | Promise<Stated> {
  const shape = limitShape(call.method, call.target);
  const inHeader = cost.header === undefined ? undefined : headerOf(call.headers, cost.header);
  const said = inHeader === undefined ? undefined : amount(Number(inHeader.trim() || Number.NaN));
  const costAt = said === undefined ? cost.pointer : undefined;
  const named = scope.startsWith('/') && isJson(call.headers) ? scope : undefined;
  if (costAt === undefined && named === undefined) return { cost: said ?? cost.fixed, shape };
  return documentOf(call).then((document) => ({
    cost: said ?? amount(at(document, costAt)) ?? cost.fixed,
    shape: nameAt(document, named) ?? shape,
  }));
}

function amount(found: unknown): number | undefined {
  return typeof found === 'number' && found >= 0 && found <= HIGHEST_COST ? found : undefined;
}

function isJson(headers: Call['headers']): boolean {
  return headerOf(headers, 'content-type')?.toLowerCase().includes('json') === true;
}

function nameAt(document: unknown, pointer: string | undefined): string | undefined {
  const name = at(document, pointer);
  if (pointer === undefined || typeof name !== 'string' || name === '') return undefined;
  return namedScope(pointer.slice(1), name);
}

async function documentOf({ body }: Pick<Call, 'body'>): Promise<unknown> {
  const chunks = await body.whole();
  if (chunks === undefined) return undefined;
  let bytes = 0;
  for (const chunk of chunks) bytes += chunk.length;
  if (bytes === 0 || bytes > LARGEST_BODY_BYTES) return undefined;
  try {
    return JSON.parse(Buffer.concat(chunks).toString());
  } catch {
    return undefined; // not JSON: the upstream's business
  }
}

/** What an RFC 6901 pointer points at, or undefined. */
function at(document: unknown, pointer: string | undefined): unknown {
  if (pointer === undefined) return undefined;
  const [found] = valuesAt(document, parsePointer(pointer) ?? []);
  return found;
}
