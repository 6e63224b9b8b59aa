import { section } from '../fields/field.ts';
import { integer, text } from '../fields/fields.ts';
import { checkName } from '../fields/words.ts';

/** In characters. A shorter secret can be guessed by trying. */
const SHORTEST_SECRET = 16;

/** The state that replicas share. */
export const shared = section(
  'What the replicas of this proxy share: the units of configured quota windows and, with a secret, replies of dedupe and access tokens.',
  {
    store: text(
      undefined,
      'Where they share it: redis://, rediss:// (TLS) or postgres:// with host and database. Turns sharing on.',
      checkStore,
    ),
    name: text(
      'breakwater',
      'Replicas with the same name and store share. Other deployments need another name.',
      checkName,
    ),
    replicas: integer(
      1,
      'How many replicas run. It counts only until the store has been reached: until then each may use the limit divided by this.',
      1,
      1_000,
    ),
    secret: text(
      undefined,
      `Hashes credentials and encrypts replies and tokens in the store: at least ${SHORTEST_SECRET} characters, from the environment, the same for all replicas. Without it, the URL of the store hashes credentials, and neither replies nor tokens are shared.`,
      (secret) =>
        secret.length < SHORTEST_SECRET ? `has fewer than ${SHORTEST_SECRET} characters` : undefined,
    ),
  },
);

/** Problems do not quote the URL: it may contain a password. */
function checkStore(store: string): string | undefined {
  const url = URL.parse(store);
  if (url === null || !/^(redis|rediss|postgres|postgresql):$/.test(url.protocol))
    return 'is not a supported store; write for example redis://127.0.0.1:6379 or postgres://user@127.0.0.1/database';
  if (!isEncoded(url.username) || !isEncoded(url.password))
    return 'has a % in its user or password that is not encoded; write %25 for it';
  return undefined;
}

function isEncoded(text: string): boolean {
  try {
    return decodeURIComponent(text) !== undefined;
  } catch {
    return false;
  }
}
