import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const P256 = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];

/** Creates a self-signed certificate for localhost and 127.0.0.1. `newKey`: arguments of `openssl req`. */
export function selfSigned(newKey: readonly string[] = P256): {
  readonly key: Buffer;
  readonly cert: Buffer;
} {
  const folder = mkdtempSync(join(tmpdir(), 'breakwater-tls-'));
  try {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
    const args = ['req', '-x509', ...newKey, '-nodes', '-days', '1', '-keyout', key, '-out', cert, ...names];
    execFileSync('openssl', args, { stdio: 'ignore' });
    return { key: readFileSync(key), cert: readFileSync(cert) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
