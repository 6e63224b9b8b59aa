import { hash, randomBytes } from 'node:crypto';

/**
 * A function that hashes secrets, so that they can be compared without storing them. Equal texts have equal hashes. A hash does
 * not reveal its text, not even by trying: it is SHA-256 with a random prefix of 256 bits that only this process knows, cut to
 * 96 bits, which prevents length extension. One library call, because an Hmac object costs as much as the rest of a policy.
 */
export function keyedHash(): (text: string) => string {
  const key = randomBytes(32).toString('hex');
  return (text) => hash('sha256', key + text, 'base64url').slice(0, 16);
}
