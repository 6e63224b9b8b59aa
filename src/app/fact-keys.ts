import { createHmac, hkdfSync } from 'node:crypto';
import { framed } from '../http/credentials.ts';
import { seal, unseal } from '../runtime/seal.ts';

/** The keys that replicas derive from the secret that they share (HKDF, RFC 5869). */
export class FactKeys {
  readonly #hashing: Buffer;
  readonly #sealing: Buffer;

  constructor(secret: string) {
    this.#hashing = derived(secret, 'hashes of names');
    this.#sealing = derived(secret, 'sealing of facts');
  }

  /** A hash of names that does not reveal them, and is a key for what they are. */
  hashOf(...parts: readonly string[]): Buffer {
    return createHmac('sha256', this.#hashing).update(framed(parts).join('')).digest();
  }

  /** Encrypts the content of one fact. What is sealed for one fact cannot be read as another. */
  seal(fact: string, content: Uint8Array): string {
    return seal(content, this.#keyOf(fact));
  }

  /** Undefined if it was sealed with another secret or for another fact, or was changed. */
  unseal(fact: string, sealed: string): Buffer | undefined {
    return unseal(sealed, this.#keyOf(fact));
  }

  /** A key for each fact, so that random initialization vectors of one key do not repeat. */
  #keyOf(fact: string): Buffer {
    return createHmac('sha256', this.#sealing).update(fact).digest();
  }
}

function derived(secret: string, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', `breakwater ${purpose}`, 32));
}
