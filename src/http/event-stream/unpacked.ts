import type { Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';
import type { EventListener, EventReader } from './event.ts';

const DECODERS: ReadonlyMap<string, () => Transform> = new Map(
  Object.entries<() => Transform>({
    gzip: createGunzip,
    'x-gzip': createGunzip,
    deflate: createInflate,
    br: createBrotliDecompress,
    zstd: createZstdDecompress,
  }),
);

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
    decoder.on('error', () => {
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
