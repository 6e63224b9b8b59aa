import { createPrivateKey, X509Certificate } from 'node:crypto';
import { reasonOf } from '../read/interpolate.ts';
import type { Path } from '../read/problem.ts';
import type { Report } from '../read/report.ts';

/** A certificate with its key, as one of the two sides of a TLS connection shows it. */
export interface Identity {
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

export interface PemSource {
  /** Reads a text file; throws when it cannot. */
  readonly readFile: (path: string) => string;
  readonly report: Report;
}

/** Where a value was written, and what. */
export interface WrittenPem {
  readonly text: string | undefined;
  readonly path: Path;
}

const BLOCK = /-----BEGIN [^-]+-----[^-]+-----END [^-]+-----/g;

/** What is shown in place of a PEM that stands in the file itself, or came into it by `${file:…}`. */
export const shownPem = (text: string): string => (isPem(text) ? '[PEM]' : text);

const isPem = (text: string): boolean => text.includes('-----BEGIN ');

/** One or more certificates, from a file or as they are written. */
export function certificates({ text, path }: WrittenPem, source: PemSource): string | undefined {
  const pem = pemOf(text, path, source);
  if (pem === undefined) return undefined;
  const blocks = pem.match(BLOCK) ?? [];
  if (blocks.length > 0 && blocks.every(isCertificate)) return pem;
  source.report.problem(path, 'holds no certificate, or a broken one; write PEM, or the path of a PEM file');
  return undefined;
}

/** A certificate and its key, both or none, which belong together. */
export function identity(cert: WrittenPem, key: WrittenPem, source: PemSource): Identity {
  const { report } = source;
  const pair = { cert: certificates(cert, source), key: privateKey(key, source) };
  if (cert.text !== undefined && key.text === undefined) report.problem(cert.path, 'needs its key beside it');
  if (key.text !== undefined && cert.text === undefined)
    report.problem(key.path, 'needs its certificate beside it (cert)');
  if (pair.cert === undefined || pair.key === undefined) return { cert: undefined, key: undefined };
  // The first is ours; the rest leads to whoever signed it.
  const [own = ''] = pair.cert.match(BLOCK) ?? [];
  if (new X509Certificate(own).checkPrivateKey(createPrivateKey(pair.key))) return pair;
  report.problem(key.path, 'is not the key of the certificate in cert');
  return pair;
}

function privateKey({ text, path }: WrittenPem, source: PemSource): string | undefined {
  const pem = pemOf(text, path, source);
  if (pem === undefined) return undefined;
  try {
    createPrivateKey(pem);
    return pem;
  } catch {
    source.report.problem(path, 'holds no private key in PEM form, or one with a passphrase');
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
