import type { Random } from '../../src/runtime/random.ts';
import { FLAG, field, frame, get, PREFACE, setting, TYPE } from '../support/http2-frames.ts';

const PADDED = 8;
const KINDS = Object.keys(TYPE) as readonly (keyof typeof TYPE)[];

const below = (limit: number, random: Random) => Math.floor(random() * limit);
const pick = <T>(list: readonly T[], random: Random): T => list[below(list.length, random)] as T;

/** The frames of a valid session, the preface first, with `token` in all possible places. */
export function validSession(token: string, random: Random): Buffer[] {
  const frames = [PREFACE, frame('settings', { payload: setting(3, 100) })];
  const streams = 1 + below(4, random);
  for (let n = 0; n < streams; n++) {
    frames.push(...validStream(2 * n + 1, token, random));
    if (random() < 0.2) frames.push(frame('ping', { payload: Buffer.from('pingping') }));
    if (random() < 0.2) frames.push(frame('windowUpdate', { payload: Buffer.from([0, 0, 16, 0]) }));
    if (random() < 0.1) frames.push(frame('settings', { payload: setting(4, 100_000) }));
  }
  return frames;
}

function validStream(stream: number, token: string, random: Random): Buffer[] {
  const path = `/api/${token}${pick(['', '/a%2Fb//c', '?q=1&r=%20'], random)}`;
  const more = pick([[], [field('x-id', token)], [field('cookie', 'a=1'), field('cookie', 'b=2')]], random);
  if (random() < 0.3) {
    const flags = FLAG.endHeaders | FLAG.endStream;
    return [frame('headers', { flags, stream, payload: Buffer.concat([get(path), ...more]) })];
  }
  const body = Buffer.from(
    `${token} ${pick(['', 'GET /api/smuggled HTTP/1.1\r\n\r\n', 'x'.repeat(2_000)], random)}`,
  );
  const length = random() < 0.5 ? [field('content-length', String(body.length))] : [];
  const head = Buffer.concat([
    Buffer.from([0x83, 0x86]), // POST, http
    field(':path', path),
    field(':authority', 'x'),
    ...length,
    ...more,
  ]);
  return [...headFrames(stream, head, random), ...bodyFrames(stream, body, random)];
}

/** Whole, or with its end in a CONTINUATION. */
function headFrames(stream: number, head: Buffer, random: Random): Buffer[] {
  if (random() < 0.7) return [frame('headers', { flags: FLAG.endHeaders, stream, payload: head })];
  const cut = below(head.length, random);
  return [
    frame('headers', { stream, payload: head.subarray(0, cut) }),
    frame('continuation', { flags: FLAG.endHeaders, stream, payload: head.subarray(cut) }),
  ];
}

/** In one piece or two, padded or not, with trailers or reset in the middle. */
function bodyFrames(stream: number, body: Buffer, random: Random): Buffer[] {
  const half = body.length >> 1;
  const first = frame('data', { stream, payload: body.subarray(0, half) });
  const rest = body.subarray(half);
  switch (pick(['whole', 'pieces', 'padded', 'trailers', 'reset'] as const, random)) {
    case 'whole':
      return [frame('data', { flags: FLAG.endStream, stream, payload: body })];
    case 'pieces':
      return [first, frame('data', { flags: FLAG.endStream, stream, payload: rest })];
    case 'padded': {
      const payload = Buffer.concat([Buffer.from([3]), rest, Buffer.alloc(3)]);
      return [first, frame('data', { flags: FLAG.endStream | PADDED, stream, payload })];
    }
    case 'trailers': {
      const flags = FLAG.endHeaders | FLAG.endStream;
      const payload = field('x-sum', '1');
      return [first, frame('data', { stream, payload: rest }), frame('headers', { flags, stream, payload })];
    }
    case 'reset':
      return [first, frame('rst', { stream, payload: Buffer.from([0, 0, 0, 8]) })];
  }
}

type Act = (stream: number, head: Buffer, random: Random) => readonly Buffer[];

const ENDS = FLAG.endHeaders | FLAG.endStream;
const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const open = (stream: number, head: Buffer, flags: number = ENDS) =>
  frame('headers', { flags, stream, payload: head });
const reset = (stream: number, random: Random) =>
  frame('rst', { stream, payload: uint32(pick([0, 1, 2, 5, 7, 8, 11, 13, 99, 2 ** 32 - 1], random)) });
const times = (count: number, made: (n: number) => Buffer) =>
  Array.from({ length: count }, (_, n) => made(n));

/** Acts of a hostile client, each with its own stream. */
const ACTS: readonly Act[] = [
  // Reset in the write that opened it, also for what has no route or an expectation.
  (stream, head, random) => [open(stream, head), reset(stream, random)],
  (stream, _head, random) => [open(stream, get('/none')), reset(stream, random)],
  (stream, _head, random) => [open(stream, get('/none')), ...(random() < 0.5 ? [reset(stream, random)] : [])],
  (stream, head, random) => {
    const expects = Buffer.concat([head, field('expect', pick(['100-continue', 'magic', ''], random))]);
    return [open(stream, expects, pick([FLAG.endHeaders, ENDS], random)), reset(stream, random)];
  },
  // Windows of 0, and windows that are too large.
  (stream, head, random) => [
    open(stream, head),
    frame('windowUpdate', { stream: pick([0, stream], random), payload: uint32(0) }),
  ],
  (stream, head) => [
    open(stream, head),
    ...times(3, () => frame('windowUpdate', { stream, payload: uint32(2 ** 31 - 1) })),
  ],
  // On a stream that is closed, or never was open.
  (stream, head, random) => [
    open(stream, head),
    frame('data', { stream: pick([stream, stream + 100], random), payload: Buffer.from('late') }),
  ],
  (stream, head, random) => [open(stream, head), reset(stream, random), open(stream, head)],
  // Floods.
  (stream, head, random) => [
    frame('headers', { stream, payload: head }),
    ...times(below(40, random), () => frame('continuation', { stream })),
    frame('continuation', { flags: FLAG.endHeaders, stream }),
  ],
  (stream, head, random) => [
    open(stream, head),
    ...times(below(60, random), (n) => frame('settings', { payload: setting(4, n % 2 === 0 ? 0 : 65_535) })),
  ],
  (stream, head, random) => [
    ...times(below(30, random), () =>
      frame('priority', {
        stream,
        payload: Buffer.concat([uint32(pick([0, stream], random)), Buffer.of(16)]),
      }),
    ),
    open(stream, head),
  ],
  // GOAWAY, followed by requests.
  (stream, head, random) => [
    frame('goaway', { payload: Buffer.concat([uint32(0), uint32(below(14, random))]) }),
    open(stream, head),
  ],
];

/** A session of such acts, in one write. */
export function hostileSession(token: string, random: Random): Buffer[] {
  const frames = [PREFACE, frame('settings', { payload: setting(3, 100) })];
  const acts = 1 + below(6, random);
  for (let n = 0; n < acts; n++) frames.push(...pick(ACTS, random)(2 * n + 1, get(`/api/${token}`), random));
  return frames;
}

type Wound = (frames: Buffer[], at: number, random: Random) => void;

/** Problems of one frame, or of the order of all. */
const WOUNDS: readonly Wound[] = [
  // Removed, repeated, moved, truncated.
  (frames, at) => void frames.splice(at, 1),
  (frames, at) => void frames.splice(at, 0, frames[at] as Buffer),
  (frames, at, random) => void frames.splice(below(frames.length, random), 0, ...frames.splice(at, 1)),
  (frames, at, random) => {
    const whole = frames[at] as Buffer;
    frames[at] = whole.subarray(0, below(whole.length, random));
  },
  // A bit, a byte; in its head, where it counts most: length, type, flags, stream.
  (frames, at, random) => change(frames, at, below(frames[at]?.length ?? 0, random), 1 << below(8, random)),
  (frames, at, random) => change(frames, at, below(9, random), 1 << below(8, random)),
  (frames, at, random) => change(frames, at, below(9, random), below(256, random)),
  // A frame that no peer sends here.
  (frames, at, random) => {
    const payload = Buffer.from(Array.from({ length: below(40, random) }, () => below(256, random)));
    const stream = pick([0, 1, 2, 3, 5, 99, 2 ** 31 - 1], random);
    frames.splice(at + 1, 0, frame(pick(KINDS, random), { flags: below(256, random), stream, payload }));
  },
  // Settings at their ends, and a window that is too large.
  (frames, at, random) => {
    const value = pick([0, 1, 16_383, 65_536, 2 ** 31, 2 ** 32 - 1], random);
    frames.splice(at + 1, 0, frame('settings', { payload: setting(below(10, random), value) }));
  },
  (frames, at, random) => {
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(pick([0, 1, 2 ** 31 - 1, 2 ** 32 - 1], random));
    frames.splice(at + 1, 0, frame('windowUpdate', { stream: pick([0, 1, 3], random), payload }));
  },
];

function change(frames: Buffer[], at: number, byte: number, mask: number): void {
  const changed = Buffer.from(frames[at] as Buffer);
  if (byte < changed.length) changed.writeUInt8(changed.readUInt8(byte) ^ mask, byte);
  frames[at] = changed;
}

/** The bytes of `frames` with one to three mutations, rarely in the preface. Only the given random decides. */
export function mutateFrames(frames: readonly Buffer[], random: Random): Buffer {
  const mutated = [...frames];
  for (let wounds = 1 + below(3, random); wounds > 0 && mutated.length > 1; wounds--) {
    const first = random() < 0.05 ? 0 : 1;
    pick(WOUNDS, random)(mutated, first + below(mutated.length - first, random), random);
  }
  return Buffer.concat(mutated);
}
