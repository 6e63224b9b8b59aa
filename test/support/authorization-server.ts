import { generateKeyPairSync } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import Provider from 'oidc-provider';
import { onTestFinished } from 'vitest';
import type { Step } from './origin.ts';

export interface AuthorizationServer {
  /** Of the token endpoint. */
  readonly tokenUrl: string;
  readonly granted: number;
  readonly refused: number;
  /** Answers 200 to a call with a valid token, and 401 to others. */
  readonly api: Step;
  /** The tokens of the calls so far. */
  readonly tokens: readonly string[];
  revoke(token: string): Promise<void>;
  /** Closes the listener and all connections. */
  stop(): Promise<void>;
  /** Listens again, at the same port. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/** PEM and JWK of a key that signs assertions. */
export function assertionKey() {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    pem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    jwk: { ...publicKey.export({ format: 'jwk' }), kid: 'k1', alg: 'ES256', use: 'sig' },
  };
}

/** Of all servers of a test file, because an RSA key takes long to make. */
const SIGNING_KEY = {
  ...generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }),
  alg: 'RS256',
  use: 'sig',
};

/** oidc-provider on a free port of loopback. `clients`: their metadata, in place of one client `app` with a secret. */
export async function startAuthorizationServer({
  lifetimeSeconds = 600,
  clients,
}: {
  lifetimeSeconds?: number;
  clients?: object[];
} = {}): Promise<AuthorizationServer> {
  let provider: Provider | undefined;
  const handle: Parameters<typeof createServer>[1] = (request, response) =>
    provider?.callback()(request, response);
  let server: Server = createServer(handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const client = { client_id: 'app', client_secret: 'hush-hush-of-the-client' };
  const common = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] };
  const url = `http://127.0.0.1:${port}`;
  provider = new Provider(url, {
    clients: (clients ?? [client]).map((one) => ({ ...common, ...one })),
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
    scopes: ['read', 'write'],
    ttl: { ClientCredentials: lifetimeSeconds },
    jwks: { keys: [SIGNING_KEY] },
    cookies: { keys: ['unused'] },
  });
  let [granted, refused] = [0, 0];
  provider.on('grant.success', () => granted++);
  provider.on('grant.error', () => refused++);
  const tokens: string[] = [];
  const stop = async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  };
  onTestFinished(stop);
  return {
    tokenUrl: `${url}/token`,
    get granted() {
      return granted;
    },
    get refused() {
      return refused;
    },
    tokens,
    api: async ({ request, response, body }) => {
      await body();
      const token = request.headers.authorization?.replace(/^Bearer /, '') ?? '';
      tokens.push(token);
      const known = await provider.ClientCredentials.find(token);
      response.writeHead(known === undefined ? 401 : 200).end(known?.scope ?? 'ok');
    },
    revoke: async (token) => (await provider.ClientCredentials.find(token))?.destroy(),
    stop,
    start: async () => {
      server = createServer(handle);
      await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    },
    close: stop,
  };
}
