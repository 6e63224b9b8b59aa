import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';
import type { RawHeaders } from '../http/headers.ts';

/** Fields by which callers say who they are. */
const CREDENTIALS: ReadonlySet<string> = new Set([
  'authorization',
  'proxy-authorization',
  'cookie',
  'x-api-key',
  'api-key',
  'x-auth-token',
  'x-goog-api-key',
]);

/** Holds the credentials of a stored request, sealed; it never leaves this process. */
const SEALED = 'breakwater-sealed';

/**
 * What becomes of the credentials that a request carries: they tell callers apart, by a hash that means nothing without
 * the store's secret, and are kept only under a key from outside (AES-256-GCM), if at all.
 */
export class Credentials {
  readonly #secret: Buffer;
  readonly #key: () => string | undefined;

  /** Both in hex; the key, asked anew each time, is 32 bytes, undefined: nothing is kept. */
  constructor(secret: string, key: () => string | undefined) {
    this.#secret = Buffer.from(secret, 'hex');
    this.#key = key;
  }

  /** Who calls: '' for a caller without credentials. */
  callerOf(headers: RawHeaders): string {
    const pairs = pairsOf(headers).filter(isCredential);
    if (pairs.length === 0) return '';
    const named = pairs.map(([name, value]) => `${name.toLowerCase()}: ${value}`).sort(inOrder);
    return createHmac('sha256', this.#secret).update(JSON.stringify(named)).digest('hex');
  }

  /** The fields as they are stored. */
  seal(headers: RawHeaders): string[] {
    const pairs = pairsOf(headers).filter(([name]) => name.toLowerCase() !== SEALED);
    const open = pairs.filter((pair) => !isCredential(pair)).flat();
    const secret = pairs.filter(isCredential).flat();
    const key = this.#key();
    if (key === undefined || secret.length === 0) return open;
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', Buffer.from(key, 'hex'), iv);
    const sealed = Buffer.concat([cipher.update(JSON.stringify(secret), 'utf8'), cipher.final()]);
    return [...open, SEALED, Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString('base64')];
  }

  /** The fields as they are sent. Without the right key the request goes out without its credentials. */
  open(headers: RawHeaders): string[] {
    return pairsOf(headers).flatMap(([name, value]) =>
      name === SEALED ? this.#unseal(value) : [name, value],
    );
  }

  #unseal(text: string): string[] {
    const key = this.#key();
    if (key === undefined) return [];
    const bytes = Buffer.from(text, 'base64');
    const decipher = createDecipheriv('aes-256-gcm', Buffer.from(key, 'hex'), bytes.subarray(0, 12));
    decipher.setAuthTag(bytes.subarray(12, 28));
    try {
      const opened = Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]);
      return JSON.parse(opened.toString('utf8')) as string[];
    } catch {
      return [];
    }
  }
}

type Pair = readonly [name: string, value: string];

function pairsOf(headers: RawHeaders): Pair[] {
  return Array.from({ length: headers.length / 2 }, (_, i) => [
    headers[2 * i] as string,
    headers[2 * i + 1] as string,
  ]);
}

function isCredential([name]: Pair): boolean {
  return CREDENTIALS.has(name.toLowerCase());
}

function inOrder(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
