import { createHmac } from 'node:crypto';

export interface Signed {
  /** The same on every delivery of one event, so that the receiver can tell a repeat. */
  readonly id: string;
  /** Seconds since 1970, of this delivery. */
  readonly timestamp: number;
  readonly body: Uint8Array | string;
}

/**
 * The fields of a signed callback (Standard Webhooks 1.0.0, symmetric `v1`). While a secret is being replaced there is a
 * signature by each, separated by spaces; the receiver takes any that fits.
 */
export function signatureHeaders(
  keys: readonly Uint8Array[],
  { id, timestamp, body }: Signed,
): readonly string[] {
  const signatures = keys.map((key) => {
    const hmac = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body);
    return `v1,${hmac.digest('base64')}`;
  });
  return [
    'webhook-id',
    id,
    'webhook-timestamp',
    String(timestamp),
    'webhook-signature',
    signatures.join(' '),
  ];
}

/** Shortest and longest key, in bytes, by the same specification. */
const KEY_BYTES = { min: 24, max: 64 };

/** A secret as receivers have it: `whsec_` and base64 of 24 to 64 bytes. Undefined when `text` is none. */
export function webhookKey(text: string): Uint8Array | undefined {
  const encoded = text.startsWith('whsec_') ? text.slice('whsec_'.length) : text;
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(encoded) || encoded.length % 4 !== 0) return undefined;
  const key = Buffer.from(encoded, 'base64');
  return key.length >= KEY_BYTES.min && key.length <= KEY_BYTES.max ? key : undefined;
}
