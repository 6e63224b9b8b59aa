import type { Transform } from 'node:stream';
import {
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createZstdDecompress,
} from 'node:zlib';
import type { EventListener, EventReader } from './event.ts';

/** The largest window of a content coding with zstd, as a power of two (RFC 9659: 8 MB). Node would allocate up to 128 MB. */
const ZSTD = { params: { [constants.ZSTD_d_windowLogMax]: 23 } };

const DECODERS: ReadonlyMap<string, () => Transform> = new Map(
  Object.entries<() => Transform>({
    gzip: createGunzip,
    'x-gzip': createGunzip,
    deflate: createInflate,
    br: createBrotliDecompress,
    zstd: () => createZstdDecompress(ZSTD),
  }),
);

/** The code of a stream that ends early. Its events have been read until then. */
const CUT_SHORT = 'Z_BUF_ERROR';

/** Reads the events of a compressed stream from an unpacked copy. Unpacking waits while the events are read, so a copy takes little memory. */
export class UnpackedReader implements EventReader {
  readonly #decoder: Transform;
  readonly #inner: EventReader;

  constructor(decoder: Transform, inner: EventReader, listener: EventListener) {
    this.#decoder = decoder;
    this.#inner = inner;
    decoder.on('data', (chunk: Buffer) => void inner.read(chunk));
    decoder.on('drain', () => listener.onReady());
    decoder.on('end', () => inner.end());
    decoder.on('error', ({ code }: NodeJS.ErrnoException) => {
      if (code === CUT_SHORT) return inner.end();
      this.close();
      listener.onUnreadable();
    });
  }

  read(chunk: Uint8Array): boolean {
    return this.#decoder.destroyed || this.#decoder.write(chunk);
  }

  end(): void {
    this.#decoder.end();
  }

  close(): void {
    this.#inner.close();
    this.#decoder.destroy();
  }
}

/** Whether a content coding is supported. */
export const hasDecoder = (coding: string): boolean => DECODERS.has(coding);

/** The decoder of a supported content coding. */
export const decoderOf = (coding: string): Transform => (DECODERS.get(coding) as () => Transform)();
