import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';
import { addSecrets, type CredentialNames, putBack, takeSecrets } from '../http/credentials.ts';
import { type Field, fieldPairs, type RawHeaders } from '../http/headers.ts';
import { ProxyError } from '../proxy/errors.ts';

/** Holds the secrets of a stored request, encrypted; it never leaves this process. */
const SEALED = 'breakwater-sealed';

/** A request as far as it may hold secrets. */
export interface Sealable {
  readonly headers: RawHeaders;
  /** Path and query. */
  readonly target: string;
}

/**
 * Secrets of stored requests. They tell callers apart, by a hash that means nothing without the store's secret. They are
 * stored only under a key from outside (AES-256-GCM), if at all.
 */
export class Credentials {
  readonly #secret: Buffer;
  readonly #key: () => string | undefined;

  /** Both in hex; the key, asked for each time, is 32 bytes. Undefined: no secret is stored. */
  constructor(secret: string, key: () => string | undefined) {
    this.#secret = Buffer.from(secret, 'hex');
    this.#key = key;
  }

  /**
   * Who calls, by all credentials and accounts of the request: '' for a caller without any. Accounts alone are marked:
   * they separate the keys of callers, but are no secret that a reader could prove itself by.
   */
  callerOf(request: Sealable, names: CredentialNames): string {
    const identity = names.lastingIdentityOf(request);
    if (identity.length === 0) return '';
    const hash = createHmac('sha256', this.#secret).update(JSON.stringify(identity)).digest('hex');
    return hasSecret(identity, names) ? hash : `${ACCOUNTS_ONLY}${hash}`;
  }

  /**
   * The request as it is stored. Without a key its secret headers are left out: the route is to inject them. A secret
   * parameter cannot be left out, because the rest may ask for something else (`DELETE /items?key=1`): it is refused.
   */
  seal({ headers, target }: Sealable, names: CredentialNames): Sealable {
    const pairs = fieldPairs(headers).filter(([name]) => name.toLowerCase() !== SEALED);
    const open = pairs.filter(([name]) => !names.isSecret(name)).flat();
    const stripped = takeSecrets(target, names);
    const secrets: Field[] = [
      ...pairs.filter(([name]) => names.isSecret(name)),
      ...stripped.taken.map(([at, pair]): Field => [`?${at}`, pair]),
    ];
    const key = this.#key();
    if (key === undefined && stripped.taken.length > 0) throw refused(stripped.taken);
    if (key === undefined || secrets.length === 0) return { headers: open, target: stripped.target };
    return { headers: [...open, SEALED, encrypt(secrets, key)], target: stripped.target };
  }

  /**
   * The request as it is sent. `poll`: it asks about the one that was sealed, so it gets the secret parameters that it
   * does not name itself. Undefined: its secrets cannot be decrypted, because the key is another one or missing.
   */
  open({ headers, target }: Sealable, poll = false): Sealable | undefined {
    const pairs = fieldPairs(headers);
    const sealed = pairs.find(([name]) => name === SEALED)?.[1];
    if (sealed === undefined) return { headers, target };
    const secrets = this.#decrypt(sealed);
    if (secrets === undefined) return undefined;
    const taken = secrets
      .filter(([name]) => name.startsWith('?'))
      .map(([name, pair]) => [Number(name.slice(1)), pair] as const);
    const fields = pairs.flatMap(([name, value]) =>
      name === SEALED ? secrets.filter(([secret]) => !secret.startsWith('?')).flat() : [name, value],
    );
    return { headers: fields, target: poll ? addSecrets(target, taken) : putBack(target, taken) };
  }

  #decrypt(sealed: string): Field[] | undefined {
    const key = this.#key();
    if (key === undefined) return undefined;
    const bytes = Buffer.from(sealed, 'base64');
    try {
      const decipher = createDecipheriv('aes-256-gcm', Buffer.from(key, 'hex'), bytes.subarray(0, 12));
      decipher.setAuthTag(bytes.subarray(12, 28));
      const opened = Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]);
      return fieldPairs(JSON.parse(opened.toString('utf8')) as string[]);
    } catch {
      return undefined;
    }
  }
}

const ACCOUNTS_ONLY = 'accounts:';

/** Whether a stored request is read by its caller alone; otherwise by all who know its id. */
export const isPrivate = (caller: string): boolean => caller !== '' && !caller.startsWith(ACCOUNTS_ONLY);

const hasSecret = (identity: readonly string[], names: CredentialNames): boolean =>
  fieldPairs(identity).some(([name]) => name.startsWith('?') || names.isSecret(name));

function encrypt(secrets: readonly Field[], key: string): string {
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', Buffer.from(key, 'hex'), iv);
  const sealed = Buffer.concat([cipher.update(JSON.stringify(secrets.flat()), 'utf8'), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString('base64');
}

function refused(taken: readonly (readonly [at: number, pair: string])[]): ProxyError {
  const names = taken.map(([, pair]) => pair.split('=', 1)[0]).join(', ');
  const fix =
    'send it as a header that headers.set injects, set durable.credentials: encrypted, or, if it is no secret, list it in identity.ignored_names';
  return new ProxyError(
    'bad_request',
    `the query parameter ${names} contains a secret, which is not stored: ${fix}`,
  );
}
