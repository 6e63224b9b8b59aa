import type { WholeBody } from '../../http/bodies/request-body.ts';
import { parsedJson } from '../../http/document.ts';
import { headerOf } from '../../http/headers.ts';
import { parsePointer, valuesAt } from '../../http/json-pointer.ts';
import { limitShape } from '../../http/path-shape.ts';
import type { Call } from '../../proxy/call.ts';
import { remembered } from '../../runtime/remembered.ts';
import type { QuotaOptions } from './options.ts';
import { namedScope } from './scope.ts';
import { costOf } from './stated-cost.ts';

/** A larger body is not read. */
const LARGEST_BODY_BYTES = 256 * 1024;

/** The cost of a call and the scope of its quota. */
export interface Demand {
  readonly cost: number;
  /** The method and the shape of the path (`limitShape`), or a name from the body. */
  readonly shape: string;
}

type Asked = Pick<QuotaOptions, 'cost' | 'scope'>;
type Asking = Pick<Call, 'method' | 'target' | 'headers' | 'body'>;

/**
 * Reads the cost and the scope of a call. Without a valid cost it costs `fixed`; without a name its path is its scope. A promise
 * if the whole body has to arrive first.
 */
export function demandOf(call: Asking, { cost, scope }: Asked): Demand | Promise<Demand> {
  const shape = limitShape(call.method, call.target);
  const inHeader = cost.header === undefined ? undefined : headerOf(call.headers, cost.header);
  const said = inHeader === undefined ? undefined : costOf(Number(inHeader.trim() || Number.NaN));
  const named = scope.startsWith('/') && isJson(call.headers) ? scope : undefined;
  const otherwise = { cost: said ?? cost.fixed, shape };
  return demandIn(call.body, { cost: said === undefined ? cost.pointer : undefined, named }, otherwise);
}

/** Pointers into the body; undefined: it is not asked. */
interface Places {
  readonly cost: string | undefined;
  readonly named: string | undefined;
}

/** `otherwise`: for what the body does not state. */
function demandIn(body: Call['body'], places: Places, otherwise: Demand): Demand | Promise<Demand> {
  if (places.cost === undefined && places.named === undefined) return otherwise;
  const whole = body.whole();
  return whole instanceof Promise
    ? whole.then((chunks) => stated(chunks, places, otherwise))
    : stated(whole, places, otherwise);
}

function stated(chunks: WholeBody, { cost, named }: Places, otherwise: Demand): Demand {
  const document = documentOf(chunks);
  return {
    cost: costOf(at(document, cost)) ?? otherwise.cost,
    shape: nameAt(document, named) ?? otherwise.shape,
  };
}

function isJson(headers: Call['headers']): boolean {
  return headerOf(headers, 'content-type')?.toLowerCase().includes('json') === true;
}

function nameAt(document: unknown, pointer: string | undefined): string | undefined {
  const name = at(document, pointer);
  if (pointer === undefined || typeof name !== 'string' || name === '') return undefined;
  return namedScope(pointer.slice(1), name);
}

function documentOf(chunks: WholeBody): unknown {
  if (chunks === undefined) return undefined;
  let bytes = 0;
  for (const chunk of chunks) bytes += chunk.length;
  if (bytes === 0 || bytes > LARGEST_BODY_BYTES) return undefined;
  return parsedJson(Buffer.concat(chunks).toString());
}

/** The value at a JSON pointer (RFC 6901), or undefined. */
function at(document: unknown, pointer: string | undefined): unknown {
  if (pointer === undefined) return undefined;
  const [found] = valuesAt(document, parsed(pointer));
  return found;
}

const parsed = remembered((pointer) => parsePointer(pointer) ?? []);
