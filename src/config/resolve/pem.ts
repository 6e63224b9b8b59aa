import { createPrivateKey, X509Certificate } from 'node:crypto';
import { reasonOf } from '../read/interpolate.ts';
import type { Path } from '../read/problem.ts';
import type { Report } from '../read/report.ts';

/** A certificate and its private key, of a client or a server. */
export interface Identity {
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

export interface PemSource {
  /** Reads a text file; throws when it cannot. */
  readonly readFile: (path: string) => string;
  readonly report: Report;
}

/** A written value and its path. */
export interface WrittenPem {
  readonly text: string | undefined;
  readonly path: Path;
}

const BLOCK = /-----BEGIN [^-]+-----[^-]+-----END [^-]+-----/g;

/** A PEM text is too long to show, and may be secret. */
export const shownPem = (text: string): string => (isPem(text) ? '[PEM]' : text);

const isPem = (text: string): boolean => text.includes('-----BEGIN ');

/** One or more certificates, from a file or from PEM text. */
export function certificates({ text, path }: WrittenPem, source: PemSource): string | undefined {
  const pem = pemOf(text, path, source);
  if (pem === undefined) return undefined;
  const blocks = pem.match(BLOCK) ?? [];
  if (blocks.length > 0 && blocks.every(isCertificate)) return pem;
  source.report.problem(path, 'contains no valid certificate; write PEM text, or the path of a PEM file');
  return undefined;
}

/** A certificate and its key. Reports one without the other, and a key of another certificate. */
export function identity(cert: WrittenPem, key: WrittenPem, source: PemSource): Identity {
  const { report } = source;
  const pair = { cert: certificates(cert, source), key: privateKey(key, source) };
  if (cert.text !== undefined && key.text === undefined)
    report.problem(cert.path, 'needs its key; write key too');
  if (key.text !== undefined && cert.text === undefined)
    report.problem(key.path, 'needs its certificate; write cert too');
  if (pair.cert === undefined || pair.key === undefined) return { cert: undefined, key: undefined };
  checkPair({ cert: pair.cert, key: pair.key }, { cert: cert.path, key: key.path }, report);
  return pair;
}

function checkPair(
  pem: Record<'cert' | 'key', string>,
  paths: Record<'cert' | 'key', Path>,
  report: Report,
): void {
  // The first certificate is the server's or client's own; the rest is its chain.
  const [own = ''] = pem.cert.match(BLOCK) ?? [];
  if (!new X509Certificate(own).checkPrivateKey(createPrivateKey(pem.key)))
    return report.problem(
      paths.key,
      'is not the private key of the certificate in cert; write the one that belongs to it',
    );
  const refusal = refusalOf(pem);
  if (refusal === undefined) return;
  const message = `cannot be used for TLS: ${refusal}; write one with a stronger key or signature`;
  report.problem(paths.cert, message);
}

/** Why OpenSSL refuses a certificate or its chain, such as `ee key too small`. It would throw when a reload applies it. */
function refusalOf({ cert, key }: Record<'cert' | 'key', string>): string | undefined {
  try {
    // Loading it parses every public authority, which takes a tenth of the time of `check`.
    const { createSecureContext } = process.getBuiltinModule('node:tls');
    // With any ca, the list of public ones need not be parsed.
    createSecureContext({ cert, key, ca: cert });
    return undefined;
  } catch (error) {
    return error instanceof Error && 'reason' in error ? String(error.reason) : 'OpenSSL refuses it';
  }
}

/** Kinds of keys that sign assertions. */
const SIGNING: ReadonlySet<string | undefined> = new Set(['rsa', 'ec', 'ed25519']);

/** A private key that can sign assertions. */
export function signingKey(written: WrittenPem, source: PemSource): string | undefined {
  const pem = privateKey(written, source);
  if (pem === undefined || SIGNING.has(createPrivateKey(pem).asymmetricKeyType)) return pem;
  source.report.problem(written.path, 'has a kind of key that cannot sign; write an RSA, EC or Ed25519 key');
  return undefined;
}

function privateKey({ text, path }: WrittenPem, source: PemSource): string | undefined {
  const pem = pemOf(text, path, source);
  if (pem === undefined) return undefined;
  try {
    createPrivateKey(pem);
    return pem;
  } catch {
    source.report.problem(
      path,
      'contains no private key that can be used; write one in PEM form, without a passphrase',
    );
    return undefined;
  }
}

function pemOf(text: string | undefined, path: Path, { readFile, report }: PemSource): string | undefined {
  if (text === undefined || isPem(text)) return text;
  try {
    return readFile(text);
  } catch (error) {
    report.problem(path, `cannot read ${text}: ${reasonOf(error)}`);
    return undefined;
  }
}

function isCertificate(block: string): boolean {
  try {
    return new X509Certificate(block).raw.length > 0;
  } catch {
    return false;
  }
}
