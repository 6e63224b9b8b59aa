import fc from 'fast-check';
import { expect, test } from 'vitest';
import { eventReader } from '../../src/http/event-stream/reader.ts';

const MAX_BYTES = 24;

type Seen = [name: string, data: string | undefined];

function read(type: string, chunks: readonly Uint8Array[]): Seen[] {
  const seen: Seen[] = [];
  const reader = eventReader(['content-type', type], MAX_BYTES, {
    onEvent: ({ name, data }) => void seen.push([name, data]),
    onAllRead: () => void seen.push(['end', undefined]),
    onUnreadable: () => void seen.push(['unreadable', undefined]),
    onReady: () => undefined,
  });
  for (const chunk of chunks) reader?.read(chunk);
  reader?.end();
  return seen;
}

const PARTS = [
  '\n',
  '\r',
  '\r\n',
  '\n\n',
  'data',
  'data:',
  'event: a',
  ': x',
  'id: 1',
  ' ',
  '{"a":1}',
  'ä',
  '\uFEFF',
];

/** Text of an event stream, or near it, with some bytes that are no text. */
const bytes = fc
  .array(
    fc.oneof({ weight: 8, arbitrary: fc.constantFrom(...PARTS) }, { weight: 1, arbitrary: fc.string() }),
    {
      maxLength: 40,
    },
  )
  .chain((parts) =>
    fc.uint8Array({ maxLength: 4 }).map((odd) => Buffer.concat([Buffer.from(parts.join('')), odd])),
  );

const cuts = fc.array(fc.nat({ max: 400 }), { maxLength: 12 });

function cutAt(whole: Buffer, places: readonly number[]): Buffer[] {
  const at = [0, ...places.map((place) => Math.min(place, whole.length)).sort((a, b) => a - b), whole.length];
  return at.slice(1).map((end, index) => whole.subarray(at[index], end));
}

test.each(['text/event-stream', 'application/x-ndjson', 'application/vnd.amazon.eventstream'])(
  '%s: the events do not depend on where the bytes are cut, and are bounded',
  (type) => {
    fc.assert(
      fc.property(bytes, cuts, (whole, places) => {
        const events = read(type, [whole]);
        expect(read(type, cutAt(whole, places))).toEqual(events);
        for (const [, data = ''] of events)
          expect(Buffer.byteLength(data)).toBeLessThanOrEqual(3 * MAX_BYTES);
      }),
      { seed: 15, numRuns: 2_000 },
    );
  },
);

/** The rules of WHATWG HTML §9.2.6, written for whole texts: split into lines, then handle each line. */
function reference(text: string): Seen[] {
  const seen: Seen[] = [];
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\r|\n/);
  lines.pop();
  let name = '';
  let data = '';
  for (const line of lines) {
    if (line === '') {
      if (data !== '') seen.push([name || 'message', data.slice(0, -1)]);
      [name, data] = ['', ''];
      continue;
    }
    const [, field = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (field === 'event') name = value;
    if (field === 'data') data += `${value}\n`;
  }
  return seen;
}

const small = fc.array(fc.constantFrom(...PARTS.filter((part) => part !== '{"a":1}')), { maxLength: 30 });

test('server-sent events are those of the standard', () => {
  fc.assert(
    fc.property(small, (parts) => {
      const text = parts.join('');
      const expected = reference(text);
      const found = read('text/event-stream', [Buffer.from(text)]).slice(0, -1);
      // Data beyond the bound is not reported.
      const bounded = expected.map(([name, data], index) => [
        name,
        found[index]?.[1] === undefined ? undefined : data,
      ]);
      expect(found).toEqual(bounded);
    }),
    { seed: 15, numRuns: 5_000 },
  );
});
