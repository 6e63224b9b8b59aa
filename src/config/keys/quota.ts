import { parsePointer } from '../../http/json-pointer.ts';
import type { LimitScope } from '../../policies/quota/scope.ts';
import { field, section, shorthand } from '../fields/field.ts';
import { choice, decimal, durationOrOff, each, flag, integer, isOff, text, texts } from '../fields/fields.ts';
import { type Parsed, quote } from '../fields/units.ts';
import { checkHeaderName } from '../fields/words.ts';
import { formats } from './quota-formats.ts';
import { type ConfiguredWindow, parseWindow } from './quota-window.ts';
import { MS } from './timeouts.ts';

const LIMIT_JSON = {
  title: 'limit',
  description: 'An amount per time: 100/s, 5000/h, 10/15m.',
  type: 'string',
  pattern: '^\\d+\\s*/\\s*\\d*\\s*[a-z]+$|\\$\\{',
};
const WINDOW_JSON = {
  anyOf: [
    LIMIT_JSON,
    {
      type: 'object',
      properties: {
        limit: LIMIT_JSON,
        burst: {
          title: 'burst',
          description: 'How much may be used at once after a pause.',
          type: ['integer', 'string'],
          minimum: 1,
        },
        counts: {
          title: 'counts',
          description: 'calls: each call counts as 1. cost: each call counts by quota.cost.',
          enum: ['calls', 'cost'],
        },
      },
      required: ['limit'],
      additionalProperties: false,
    },
  ],
};

const windows = field<ConfiguredWindow[]>(
  {
    kind: 'window',
    doc: 'Limits of the API; the strictest decides: 100/s, 5000/h, 10/15m or { limit: 100/s, burst: 20, counts: cost }. burst: how much may be used at once. counts: calls counts each call as 1.',
    builtIn: [],
    type: 'a list of windows',
    json: { anyOf: [WINDOW_JSON, { type: 'array', items: WINDOW_JSON }] },
  },
  parseWindows,
);

function parseWindows(found: unknown): Parsed<ConfiguredWindow[]> {
  return each(Array.isArray(found) ? found : [found], 'a list of windows', parseWindow);
}

const limitScope = field<LimitScope>(
  {
    kind: 'other',
    doc: 'What a learned limit applies to. auto: first the path; the whole credential once another path hits it too. path: only the path. credential: the whole credential at once. A JSON pointer such as /model: as auto, for each value in the JSON body of the request.',
    builtIn: 'auto',
    type: 'auto, path, credential or a JSON pointer',
    json: { type: 'string' },
  },
  (found) => {
    const text = String(found as string);
    if (text === 'auto' || text === 'path' || text === 'credential') return { value: text };
    return isPointer(text)
      ? { value: text }
      : { problem: `${quote(found ?? null)} is not auto, path, credential or a JSON pointer such as /model` };
  },
);

/** A JSON pointer to a part of a document, and not to all of it. */
const isPointer = (text: string): text is `/${string}` => text !== '' && parsePointer(text) !== undefined;

const POINTERS_JSON = { type: 'array', minItems: 1, items: { type: 'string', pattern: '^/' } };

/** Parts that are added up, each as the pointers at which it can be. */
const costParts = field<readonly (readonly string[])[]>(
  {
    kind: 'other',
    doc: 'JSON pointers (RFC 6901) to the real cost in the reply, such as /usage/total_tokens: in a JSON body of up to 256 KiB, or in the last event that has it. The parts of a list are added up. In a part that is a list, the first pointer that is found counts.',
    builtIn: 'off',
    type: 'off, a JSON pointer or a list of them',
    json: {
      anyOf: [
        { enum: ['off', 'none'] },
        { type: 'string', pattern: '^/' },
        { type: 'array', items: { anyOf: [{ type: 'string', pattern: '^/' }, POINTERS_JSON] } },
      ],
    },
  },
  (found) => {
    if (isOff(found)) return { value: [] };
    return each(listOf(found), POINTERS, (part) =>
      Array.isArray(part) && part.length === 0
        ? { problem: `a part is an empty list; write ${POINTERS}` }
        : each(listOf(part), POINTERS, parseCostPointer),
    );
  },
);

const POINTERS = 'a list of JSON pointers';

const listOf = (found: unknown): unknown[] => (Array.isArray(found) ? found : [found]);

function parseCostPointer(found: unknown): Parsed<string> {
  if (typeof found === 'string' && isPointer(found)) return { value: found };
  return { problem: `${quote(found)} is not a JSON pointer; write for example /usage/total_tokens` };
}

export const quota = shorthand(
  section(
    "The upstream's rate limit: calls wait instead of failing. Limits are learned from replies. A route that writes it has its own quota.",
    {
      mode: choice(
        ['on', 'shadow', 'off'],
        'on',
        'on: calls wait for their turn. shadow: calls that would wait or be refused are only reported. off: calls do not wait, and nothing is learned.',
      ),
      windows,
      cost: section('What a call costs, if not 1.', {
        fixed: decimal(1, 'Cost of a call that names none.', 0, 1_000_000_000),
        header: text('off', 'A request header with the cost of its call.', checkHeaderName),
        body: text(
          'off',
          'JSON pointer (RFC 6901) to the cost in a buffered JSON request body of up to 256 KiB, such as /max_tokens.',
          checkPointer,
        ),
        reply: costParts,
      }).optional(),
      scope: limitScope,
      learn: flag(
        true,
        'Whether limits are learned from response headers (RateLimit, X-RateLimit-… and similar).',
      ),
      formats,
      credential_headers: texts(
        'Names of request headers with the credential that the API counts by. Each value has its own quota.',
        checkHeaderName,
        ['authorization', 'x-api-key', 'api-key'],
      ),
      client: text(
        'off',
        'Fairness between the tenants of one app: header:x-tenant. Calls with different values of this request header take turns in the queues of quota and concurrency, within the turns of their client.',
        checkPart,
      ),
      queue: integer(1000, 'How many calls of one credential may wait.', 0, 100_000),
      wait: durationOrOff(
        '30s',
        'Longest wait. A call that would wait longer is refused at once. off: as long as timeouts.total allows.',
        MS,
      ),
    },
    'quota',
  ),
  {
    type: 'off, a window such as 100/s, a list of them or a map of keys',
    json: { anyOf: [{ enum: ['off', 'none'] }, WINDOW_JSON, { type: 'array', items: WINDOW_JSON }] },
    expand: (found) => {
      if (isOff(found)) return { mode: 'off' as const };
      if (typeof found === 'object' && !Array.isArray(found)) return undefined;
      const parsed = parseWindows(found);
      if ('value' in parsed) return { mode: 'on' as const, windows: parsed.value };
      // A value that looks like a window gets the message about windows.
      return Array.isArray(found) || quote(found).includes('/') ? parsed : undefined;
    },
  },
);

/** Begins the source of a part of a client. */
export const PART_HEADER = 'header:';

function checkPart(source: string): string | undefined {
  if (source === 'off') return undefined;
  return source.startsWith(PART_HEADER)
    ? checkHeaderName(source.slice(PART_HEADER.length))
    : `"${source}" is not off or a header; write for example header:x-tenant`;
}

function checkPointer(pointer: string): string | undefined {
  return pointer === 'off' || isPointer(pointer)
    ? undefined
    : `"${pointer}" is not a JSON pointer; write for example /max_tokens`;
}
