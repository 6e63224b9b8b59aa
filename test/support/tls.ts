import { readFileSync } from 'node:fs';

type Name = 'server' | 'renewed' | 'expired' | 'other-host' | 'client';

/** Made by `tls/make.sh`; for tests only. */
const file = (name: string): string => new URL(`tls/${name}`, import.meta.url).pathname;

/** Paths of the PEM files of a certificate and its key. */
export const pemFiles = (name: Name) => ({ cert: file(`${name}.pem`), key: file(`${name}.key`) });

/** `server`, `renewed`: for localhost; `expired`: expired; `other-host`: for elsewhere.test; `client`: of a client. All signed by `ca`. */
export function pem(name: Name): { readonly cert: string; readonly key: string } {
  const { cert, key } = pemFiles(name);
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
}

export const CA_FILE = file('ca.pem');
export const CA = readFileSync(CA_FILE, 'utf8');
/** An authority that has signed none of them. */
export const OTHER_CA = readFileSync(file('other-ca.pem'), 'utf8');
