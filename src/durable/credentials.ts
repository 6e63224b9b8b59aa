import { createHmac } from 'node:crypto';
import { addSecrets, type CredentialNames, restoreSecrets, extractSecrets } from '../http/credentials.ts';
import { type Field, fieldPairs, headerOf, type RawHeaders } from '../http/headers.ts';
import { ProxyError } from '../proxy/errors.ts';
import { seal, unseal } from '../runtime/seal.ts';

/** Internal header that holds the encrypted secrets of a stored request. It is never sent. */
const SEALED = 'breakwater-sealed';

/** The parts of a request that can contain secrets. */
export interface Sealable {
  readonly headers: RawHeaders;
  /** Path and query. */
  readonly target: string;
}

/**
 * Handles secrets of stored requests. Callers are distinguished by an HMAC with the store's secret. Secrets are stored
 * only if a key is configured, encrypted with AES-256-GCM.
 */
export class Credentials {
  readonly #secret: Buffer;
  readonly #key: () => string | undefined;

  /** Both are hex. The key has 32 bytes and is read at each use. Undefined: no secret is stored. */
  constructor(secret: string, key: () => string | undefined) {
    this.#secret = Buffer.from(secret, 'hex');
    this.#key = key;
  }

  /**
   * Identifies the caller by all credentials and accounts of the request, and by the name of its client; '' without any. A
   * caller with accounts alone is marked: accounts separate idempotency keys, but they are no proof of identity for reading.
   */
  callerOf(request: Sealable, names: CredentialNames, client?: string): string {
    const own = names.lastingIdentityOf(request);
    const identity = client === undefined ? own : [CLIENT, client, ...own];
    if (identity.length === 0) return '';
    const hash = createHmac('sha256', this.#secret).update(JSON.stringify(identity)).digest('hex');
    return client !== undefined || hasSecret(own, names) ? hash : `${ACCOUNTS_ONLY}${hash}`;
  }

  /**
   * Returns the request as it is stored. Without a key, secret headers are dropped, because the route injects its
   * own. A secret parameter is refused: without it the request may mean something else (`DELETE /items?key=1`).
   */
  seal({ headers, target }: Sealable, names: CredentialNames): Sealable {
    const pairs = fieldPairs(headers).filter(([name]) => name.toLowerCase() !== SEALED);
    const open = pairs.filter(([name]) => !names.isSecret(name)).flat();
    const stripped = extractSecrets(target, names);
    const secrets: Field[] = [
      ...pairs.filter(([name]) => names.isSecret(name)),
      ...stripped.extracted.map(([at, pair]): Field => [`?${at}`, pair]),
    ];
    const key = this.#key();
    if (key === undefined && stripped.extracted.length > 0) throw refused(stripped.extracted);
    if (key === undefined || secrets.length === 0) return { headers: open, target: stripped.target };
    return {
      headers: [...open, SEALED, seal(Buffer.from(JSON.stringify(secrets.flat())), Buffer.from(key, 'hex'))],
      target: stripped.target,
    };
  }

  /**
   * Returns the request as it is sent. With `poll`, secret parameters of the sealed request are added unless the
   * target has them. Undefined: the secrets cannot be decrypted, because the key is missing or was changed.
   */
  open(request: Sealable, poll = false): Sealable | undefined {
    const { headers, target } = request;
    const sealed = headerOf(headers, SEALED);
    if (sealed === undefined) return request;
    const secrets = this.#decrypt(sealed);
    if (secrets === undefined) return undefined;
    const extracted = secrets
      .filter(([name]) => name.startsWith('?'))
      .map(([name, pair]) => [Number(name.slice(1)), pair] as const);
    const fields = fieldPairs(headers).flatMap(([name, value]) =>
      name === SEALED ? secrets.filter(([secret]) => !secret.startsWith('?')).flat() : [name, value],
    );
    return {
      headers: fields,
      target: poll ? addSecrets(target, extracted) : restoreSecrets(target, extracted),
    };
  }

  #decrypt(sealed: string): Field[] | undefined {
    const key = this.#key();
    if (key === undefined) return undefined;
    const opened = unseal(sealed, Buffer.from(key, 'hex'));
    return opened && fieldPairs(JSON.parse(opened.toString('utf8')) as string[]);
  }
}

/** Begins the identity of a caller with a name. No header can have this name. */
const CLIENT = '(client)';

const ACCOUNTS_ONLY = 'accounts:';

/** Whether only its caller may read a stored request. Otherwise, anyone who knows its id may. */
export const isPrivate = (caller: string): boolean => caller !== '' && !caller.startsWith(ACCOUNTS_ONLY);

const hasSecret = (identity: readonly string[], names: CredentialNames): boolean =>
  fieldPairs(identity).some(([name]) => name.startsWith('?') || names.isSecret(name));

function refused(extracted: readonly (readonly [at: number, pair: string])[]): ProxyError {
  const names = extracted.map(([, pair]) => pair.split('=', 1)[0]).join(', ');
  const fix =
    'let the proxy add it by auth.query, set durable.credentials: encrypted, or, if it is no secret, list it in identity.ignored_names';
  return new ProxyError(
    'bad_request',
    `the query parameter ${names} contains a secret, which is not stored: ${fix}`,
  );
}
