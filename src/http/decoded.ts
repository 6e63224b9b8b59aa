import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib';
import { headerOf, type RawHeaders } from './headers.ts';

type Limit = { readonly maxOutputLength: number };

const DECODERS: ReadonlyMap<string, (bytes: Buffer, limit: Limit) => Buffer> = new Map(
  Object.entries<(bytes: Buffer, limit: Limit) => Buffer>({
    identity: (bytes) => bytes,
    gzip: gunzipSync,
    'x-gzip': gunzipSync,
    deflate: inflateSync,
    br: brotliDecompressSync,
    zstd: zstdDecompressSync,
  }),
);

/**
 * The text of a body, decompressed if it has a content coding. Undefined if the coding is not supported, the body is
 * invalid, or the result exceeds `maxBytes` (a decompression bomb).
 */
export function decoded(bytes: Buffer, headers: RawHeaders, maxBytes: number): string | undefined {
  const coding = headerOf(headers, 'content-encoding')?.trim().toLowerCase() ?? 'identity';
  try {
    return DECODERS.get(coding)?.(bytes, { maxOutputLength: maxBytes }).toString('utf8');
  } catch {
    return undefined;
  }
}
