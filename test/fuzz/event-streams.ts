import { EventStreamCodec } from '@smithy/core/event-streams';
import type { Random } from '../../src/runtime/random.ts';

/** Parts of server-sent events, valid and not. */
const PARTS: readonly (string | Buffer)[] = [
  'data: 1\n\n',
  'data: {"a":1}\r\n\r\n',
  'data: a\rdata: b\r\r',
  'data\n\n',
  'data:\n\n',
  'data:x\n',
  'event: ping\ndata: {}\n\n',
  'event: error\ndata: {"error":{"type":"x"}}\n\n',
  'event:error\r\ndata: {"error":\r\ndata: {}}\r\n\r\n',
  'event: end\ndata: [DONE]\n\n',
  'event: end\n',
  'event\n',
  ': note\n\n',
  ':\n',
  'id: 1\nretry: 5\n',
  'dat: 1\n\ndataa: 2\n\n',
  '{\n  "error": {"code": 503}\n}\n',
  '{"error": {}}',
  '\n',
  '\r',
  '\r\n',
  '\0\n\n',
  '\uFEFF',
  'data: é€😀\n\n',
  Buffer.from([0xff, 0xfe, 0x0a, 0x0a]),
  Buffer.from([0x64, 0x61, 0x74, 0x61, 0x3a, 0xe2, 0x82, 0x0a, 0x0a]),
];

const below = (limit: number, random: Random) => Math.floor(random() * limit);

/** Bytes that are nearly a stream of server-sent events. A few are longer than the events that are compared with rules. */
export function nearlyEvents(random: Random): Buffer {
  const parts = Array.from({ length: below(14, random) }, () => {
    if (random() < 0.02) return `data: ${'x'.repeat(60_000 + below(20_000, random))}\n\n`;
    return PARTS[below(PARTS.length, random)] ?? '';
  });
  const bytes = Buffer.concat(parts.map((part) => Buffer.from(part)));
  return random() < 0.3 ? damaged(bytes, random) : bytes;
}

const codec = new EventStreamCodec(String, (text) => Buffer.from(text));

/** Bytes that are nearly messages of `application/vnd.amazon.eventstream`. */
export function nearlyMessages(random: Random): Buffer {
  const messages = Array.from({ length: below(6, random) }, () => {
    const value = ['ping', 'error', 'end', 'chunk'][below(4, random)] ?? '';
    const name = random() < 0.8 ? ':event-type' : ':exception-type';
    const body = Buffer.from('x'.repeat(random() < 0.05 ? 70_000 : below(50, random)));
    return codec.encode({ headers: { [name]: { type: 'string', value } }, body });
  });
  const bytes = Buffer.concat(messages);
  return random() < 0.5 ? damaged(bytes, random) : bytes;
}

/** The lines of JSON in `bytes`: all that are not blank, the last one without its end too. */
export function linesIn(bytes: Buffer): string[] {
  return bytes
    .toString()
    .split('\n')
    .filter((line) => line.trim() !== '');
}

/** Without some bytes, and with others in their place. */
function damaged(bytes: Buffer, random: Random): Buffer {
  const from = below(bytes.length + 1, random);
  const to = Math.min(bytes.length, from + below(4, random));
  const other = Buffer.from(Array.from({ length: below(4, random) }, () => below(256, random)));
  return Buffer.concat([bytes.subarray(0, from), other, bytes.subarray(to)]);
}

/** The same bytes in pieces. Many are cut between a CR and its LF, or within a character. */
export function cut(bytes: Buffer, random: Random): Buffer[] {
  const most = random() < 0.3 ? 1 : 1 + below(random() < 0.5 ? 8 : 20_000, random);
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    // A long body in single bytes would only take time.
    const size = bytes.length > 2_000 ? 1 + below(30_000, random) : 1 + below(most, random);
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return pieces;
}

export interface NaiveEvent {
  readonly name: string;
  readonly empty: boolean;
}

/**
 * The events in `bytes`, by the words of https://html.spec.whatwg.org/multipage/server-sent-events.html, line by line, and objects
 * of JSON outside of any field.
 */
export function eventsIn(bytes: Buffer): NaiveEvent[] {
  const text = bytes.toString('latin1').replace(/^\xEF\xBB\xBF/, '');
  const lines = text.split(/\r\n|\r|\n/);
  // The last line has no end, so it does not count, unless it belongs to an object.
  const rest = lines.pop() ?? '';
  const events: NaiveEvent[] = [];
  let name = '';
  let data: string[] = [];
  let bare = false;
  const add = (line: string) => {
    const [field = '', value = ''] = line.split(/:(.*)/s);
    if (field === 'data') {
      data = [...(bare ? [] : data), value.replace(/^ /, '')];
      name = bare ? '' : name;
      bare = false;
    } else if (field === 'event') name = value.replace(/^ /, '');
    else if (bare || (line.startsWith('{') && data.length === 0)) {
      bare = true;
      data.push(line);
    }
  };
  const dispatch = () => {
    const utf8 = Buffer.from(bare ? '' : name, 'latin1').toString();
    if (data.length > 0) events.push({ name: utf8 || 'message', empty: data.join('\n') === '' });
    name = '';
    data = [];
    bare = false;
  };
  for (const line of lines) {
    if (line === '') dispatch();
    else add(line);
  }
  if (rest !== '') add(rest);
  if (bare) dispatch();
  return events;
}
