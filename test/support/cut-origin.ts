import { rawHeader } from './raw-http.ts';
import type { RawStep } from './raw-origin.ts';
import { seededRandom } from './seeded-random.ts';

const roll = seededRandom(7);

/** A body of many packets, without repetition. */
export const DOWNLOAD = Buffer.from(Array.from({ length: 300_000 }, () => Math.floor(roll() * 256)));

export interface PartOptions {
  /** Bytes of the part before the connection ends. Default: all. */
  readonly cut?: number;
  /** FIN, RST, or nothing more without an end. */
  readonly how?: 'fin' | 'reset' | 'stall';
  /** Fields in addition to those for range and framing. An ETag replaces `"v1"`. */
  readonly fields?: readonly string[];
  /** The size of chunks. Default: no chunks, but Content-Length. */
  readonly chunks?: number;
  readonly status?: number;
  readonly contentRange?: string;
  /** Ignores Range. */
  readonly whole?: boolean;
  /** Sent instead of the correct bytes. */
  readonly body?: Buffer;
}

/** Serves DOWNLOAD, or the part of `Range: bytes=N-`, up to the cut. */
export function part(options: PartOptions = {}): RawStep {
  return {
    at: 'request',
    run: async (peer) => {
      const asked = /^bytes=(\d+)-$/.exec(rawHeader(peer.request as never, 'range') ?? '')?.[1];
      const from = options.whole === true || asked === undefined ? 0 : Number(asked);
      const ranged = options.whole !== true && asked !== undefined;
      const body = options.body ?? DOWNLOAD.subarray(from);
      const { head, framed } = messageOf(body, { ranged, from }, options);
      const end = options.cut === undefined ? framed.length : Math.min(framed.length, framedOffset(options));
      await peer.write(Buffer.concat([Buffer.from(head, 'latin1'), framed.subarray(0, end)]));
      if (options.cut === undefined || options.how === 'stall') return;
      if (options.how === 'reset') peer.reset();
      else peer.fin();
    },
  };
}

function messageOf(body: Buffer, { ranged, from }: { ranged: boolean; from: number }, options: PartOptions) {
  const { chunks, contentRange, fields = [], status = ranged ? 206 : 200 } = options;
  const range = contentRange ?? `bytes ${from}-${DOWNLOAD.length - 1}/${DOWNLOAD.length}`;
  const lines = [
    `HTTP/1.1 ${status} Raw`,
    ...(fields.some((line) => /^etag:/i.test(line)) ? [] : ['ETag: "v1"']),
    ...fields,
    ...(ranged && status === 206 ? [`Content-Range: ${range}`] : []),
    chunks === undefined ? `Content-Length: ${body.length}` : 'Transfer-Encoding: chunked',
  ];
  return {
    head: `${lines.join('\r\n')}\r\n\r\n`,
    framed: chunks === undefined ? body : chunked(body, chunks),
  };
}

function chunked(body: Buffer, size: number): Buffer {
  const pieces: Buffer[] = [];
  for (let i = 0; i < body.length; i += size) {
    const piece = body.subarray(i, i + size);
    pieces.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n'));
  }
  return Buffer.concat([...pieces, Buffer.from('0\r\n\r\n')]);
}

/** The position of byte `cut` of the body in the chunked bytes. */
function framedOffset({ cut = 0, chunks }: PartOptions): number {
  if (chunks === undefined) return cut;
  const before = Math.floor(cut / chunks) * (chunks.toString(16).length + 4 + chunks);
  return before + chunks.toString(16).length + 2 + (cut % chunks);
}
