import { createHmac } from 'node:crypto';

export interface Signed {
  /** The same for every delivery of one event, so that the receiver can detect repeats. */
  readonly id: string;
  /** Time of this delivery, in seconds since 1970. */
  readonly timestamp: number;
  readonly body: Uint8Array | string;
}

/**
 * Returns the fields of a signed callback (Standard Webhooks 1.0.0, symmetric `v1`). With several keys there is one
 * signature for each, separated by spaces. The receiver accepts any that matches.
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

/** Minimum and maximum key length in bytes (Standard Webhooks 1.0.0). */
const KEY_BYTES = { min: 24, max: 64 };

/**
 * Decodes a secret: `whsec_`, which may be absent, and 24 to 64 bytes in base64. Undefined if `text` is not valid.
 */
export function webhookKey(text: string): Uint8Array | undefined {
  const encoded = text.startsWith('whsec_') ? text.slice('whsec_'.length) : text;
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(encoded) || encoded.length % 4 !== 0) return undefined;
  const key = Buffer.from(encoded, 'base64');
  return key.length >= KEY_BYTES.min && key.length <= KEY_BYTES.max ? key : undefined;
}
