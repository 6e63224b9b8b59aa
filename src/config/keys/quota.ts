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
  description: 'So much in so long: 100/s, 5000/h, 10/15m.',
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
          description: 'How much may go at once after a pause.',
          type: ['integer', 'string'],
          minimum: 1,
        },
        counts: {
          title: 'counts',
          description: 'calls: each is one; cost: each is what it costs.',
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
    doc: 'What the API allows, the most restrictive decides: 100/s, 5000/h, 10/15m or { limit: 100/s, burst: 20, counts: cost }. burst: how much may go at once; counts: calls counts each as one.',
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
    doc: 'What a learned limit holds for. auto: the path at first, and the whole credential when it is met elsewhere too; path: no more than the path; credential: all at once; a JSON pointer such as /model: as auto, by what a JSON body that is kept names there.',
    builtIn: 'auto',
    type: 'auto, path, credential or a JSON pointer',
    json: { type: 'string' },
  },
  (found) => {
    const text = String(found as string);
    if (text === 'auto' || text === 'path' || text === 'credential') return { value: text };
    return checkPointer(text) === undefined && isPointer(text)
      ? { value: text }
      : { problem: `${quote(found ?? null)} is not auto, path, credential or a JSON pointer such as /model` };
  },
);

const isPointer = (text: string): text is `/${string}` => text.startsWith('/');

export const quota = shorthand(
  section(
    "The upstream's rate limit: calls wait for it rather than fail, and it is learned from replies.",
    {
      mode: choice(['on', 'off'], 'on', 'off neither waits nor learns.'),
      windows,
      cost: section('What a call costs, where that is not 1.', {
        fixed: decimal(1, 'What a call costs that does not say.', 0, 1_000_000_000),
        header: text('off', 'A request header that says what its call costs.', checkHeaderName),
        body: text(
          'off',
          'Where a JSON body that is kept (up to 256 KiB) says what its call costs, such as /max_tokens (RFC 6901).',
          checkPointer,
        ),
      }).optional(),
      scope: limitScope,
      learn: flag(
        true,
        'Whether replies are read for what is left (RateLimit, X-RateLimit-… and their kin).',
      ),
      formats,
      credential_headers: texts(
        'Request headers that say on whose behalf a call is made; each value has a quota of its own.',
        checkHeaderName,
        ['authorization', 'x-api-key', 'api-key'],
      ),
      queue: integer(1000, 'Calls of one credential that may wait.', 0, 100_000),
      wait: durationOrOff(
        '30s',
        'Longest wait; what would wait longer is refused at once. off: as long as timeouts.total allows.',
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
      // Only what looks like a window is told what is wrong with it as one.
      return Array.isArray(found) || quote(found).includes('/') ? parsed : undefined;
    },
  },
);

function checkPointer(pointer: string): string | undefined {
  return pointer === 'off' || /^(?:\/(?:[^~/]|~[01])*)+$/.test(pointer)
    ? undefined
    : `"${pointer}" is not a JSON pointer; write for example /max_tokens`;
}
