import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const CIPHER = 'aes-256-gcm';
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** Encrypts with AES-256-GCM. `key`: 32 bytes. The result is Base64 of a random IV, the tag and the encrypted content. */
export function seal(content: Uint8Array, key: Uint8Array): string {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv(CIPHER, key, iv);
  const sealed = [cipher.update(content), cipher.final()];
  return Buffer.concat([iv, cipher.getAuthTag(), ...sealed]).toString('base64');
}

/** The content that `seal` has encrypted with this key; undefined if it was encrypted with another one, or changed. */
export function unseal(sealed: string, key: Uint8Array): Buffer | undefined {
  const bytes = Buffer.from(sealed, 'base64');
  try {
    const tagEnd = IV_BYTES + TAG_BYTES;
    const iv = bytes.subarray(0, IV_BYTES);
    const decipher = createDecipheriv(CIPHER, key, iv, { authTagLength: TAG_BYTES });
    decipher.setAuthTag(bytes.subarray(IV_BYTES, tagEnd));
    return Buffer.concat([decipher.update(bytes.subarray(tagEnd)), decipher.final()]);
  } catch {
    return undefined;
  }
}
