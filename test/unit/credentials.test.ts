import { globSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { routeValues } from '../../src/config/show/effective.ts';
import { shownConfig } from '../../src/config/show/redacted-config.ts';
import {
  CredentialNames,
  isSecret,
  queryWithoutSecrets,
  RECOGNISED,
  withoutSecrets,
} from '../../src/http/credentials.ts';
import { redact } from '../../src/telemetry/redact.ts';

/** As the documentation of the APIs names them. */
const SECRETS = [
  ['Authorization', 'Proxy-Authorization', 'Cookie', 'X-Api-Key', 'api-key', 'apikey', 'X-Auth-Token'],
  ['X-Shopify-Access-Token', 'X-Shopify-Storefront-Access-Token', 'PRIVATE-TOKEN', 'JOB-TOKEN'],
  ['X-Goog-Api-Key', 'X-Goog-IAP-JWT-Assertion', 'Cf-Access-Jwt-Assertion', 'PayPal-Auth-Assertion'],
  ['X-Vault-Token', 'DD-API-KEY', 'DD-APPLICATION-KEY', 'xi-api-key', 'Ocp-Apim-Subscription-Key'],
  ['X-RapidAPI-Key', 'X-Master-Key', 'X-Postmark-Server-Token', 'X-Figma-Token', 'X-Honeycomb-Team'],
  ['X-Amz-Security-Token', 'CB-ACCESS-KEY', 'CB-ACCESS-SIGN', 'CB-ACCESS-PASSPHRASE', 'API-Sign'],
  ['X-Plex-Token', 'X-Client-Secret', 'X-Session-Id', 'X-CSRF-Token', 'X-Query-Key', 'X-MBX-APIKEY'],
  ['key', 'api_key', 'apiKey', 'access_token', 'token', 'sig', 'X-Amz-Signature', 'hapikey', 'client_secret'],
].flat();

const ACCOUNTS = [
  ['Stripe-Account', 'Stripe-Context', 'OpenAI-Organization', 'OpenAI-Project', 'Xero-Tenant-Id', 'Sudo'],
  ['X-Client-Id', 'Client-Id', 'X-Algolia-Application-Id', 'login-customer-id', 'x-goog-user-project'],
  ['Dropbox-API-Select-User', 'As-User', 'X-Org', 'X-Impersonate', 'X-Workspace'],
].flat();

const NEITHER = [
  'breakwater-key',
  ['Accept', 'User-Agent', 'Idempotency-Key', 'X-Idempotency-Key', 'Sec-WebSocket-Key', 'Content-Type'],
  ['X-Request-Id', 'traceparent', 'X-Cloud-Trace-Context', 'Correlation-Context', 'X-Client-Request-Id'],
  ['X-Stripe-Client-User-Agent', 'page_token', 'nextPageToken', 'continuation-token', 'max_tokens', 'author'],
  ['X-Routing-Key', 'partitionKey', 'sort_key', 'keyword', ':authority', 'If-Match', 'X-Client-Version'],
].flat();

describe('by their names alone', () => {
  test.each(SECRETS)('%s is a secret', (name) => {
    expect(RECOGNISED.isSecret(name)).toBe(true);
    expect(RECOGNISED.isIdentity(name)).toBe(true);
  });

  test.each(ACCOUNTS)('%s says for whom a call is, and is no secret', (name) => {
    expect(RECOGNISED.isIdentity(name)).toBe(true);
    expect(RECOGNISED.isSecret(name)).toBe(false);
  });

  test.each(NEITHER)('%s is neither', (name) => expect(RECOGNISED.isIdentity(name)).toBe(false));
});

test('a long name is classified in linear time', () => {
  for (const part of ['key', 'a-key', 'author', '-', 'page', 'idempotency'])
    expect(typeof isSecret(part.repeat(20_000 / part.length))).toBe('boolean');
});

test('the cache of names is bounded, and each name is classified', () => {
  const names = new CredentialNames();
  for (let i = 0; i < 2_000; i++) expect(names.isSecret(`x-${i}`)).toBe(false);
  expect(names.isSecret('x-token')).toBe(true);
});

const CONFIG = (more: string) => `
upstreams:
  pay:
    url: https://api.example.com
${more}`;

function load(more: string) {
  const loaded = loadConfig('config.yaml', {}, () => CONFIG(more));
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return loaded;
}

const settingsOf = (more: string) => load(more).config.upstreams[0]?.routes.at(-1)?.settings;
const namesOf = (more: string) => new CredentialNames(settingsOf(more)?.identity);

test('a route’s quota.credential_headers are secrets everywhere; accounts among them stay accounts', () => {
  const names = namesOf('    quota: { credential_headers: [x-honey, OpenAI-Organization] }');
  expect(names.isSecret('X-Honey')).toBe(true);
  expect(names.isSecret('openai-organization')).toBe(false);
  expect(names.isIdentity('openai-organization')).toBe(true);
});

test('identity adds names, and removes false positives', () => {
  const names = namesOf(
    '    identity: { secret_names: X-Honey, account_names: [x-shop], ignored_names: [x-session-affinity, key] }',
  );
  expect(names.isSecret('x-honey')).toBe(true);
  expect(names.isIdentity('X-Shop')).toBe(true);
  expect(names.isIdentity('X-Session-Affinity')).toBe(false);
  expect(names.isIdentity('key')).toBe(false);
  expect(names.isSecret('Authorization')).toBe(true);
});

test.each([
  ['stripe', 'stripe-context', 'accountNames'],
  ['shopify', 'x-shopify-access-token', 'secretNames'],
  ['google', 'key', 'secretNames'],
  ['openai', 'openai-project', 'accountNames'],
] as const)('preset %s names %s', (preset, name, list) =>
  expect(settingsOf(`    preset: ${preset}`)?.identity[list]).toContain(name),
);

describe('an injected credential', () => {
  const set = 'headers: { set: { Authorization: Bearer mine } }';

  test('one that the client invents has no quota of its own', () =>
    expect(settingsOf(`    ${set}`)?.quota.credentialHeaders).toEqual(['authorization']));

  test('an injected one counts, even if quota.credential_headers does not name it', () =>
    expect(settingsOf('    headers: { set: { Private-Token: mine } }')?.quota.credentialHeaders).toEqual([
      'private-token',
    ]));

  test('those of a preset do not count either, unless they are injected too', () => {
    expect(settingsOf(`    preset: openai\n    ${set}`)?.quota.credentialHeaders).toEqual(['authorization']);
    const both = 'headers: { set: { authorization: Bearer mine, openai-project: p } }';
    expect(settingsOf(`    preset: openai\n    ${both}`)?.quota.credentialHeaders).toEqual([
      'authorization',
      'openai-project',
    ]);
  });

  test('those named in the file count', () =>
    expect(
      settingsOf(`    ${set}\n    quota: { credential_headers: [authorization, x-tenant] }`)?.quota
        .credentialHeaders,
    ).toEqual(['authorization', 'x-tenant']));

  test('without one, all count', () =>
    expect(settingsOf('    allow_private: false')?.quota.credentialHeaders).toEqual([
      'authorization',
      'x-api-key',
      'api-key',
    ]));
});

test.each(SECRETS)('%s is nowhere shown, and goes to no other upstream', (name) => {
  const value = 'hunter2';
  expect(JSON.stringify(redact({ [name]: value, headers: [name, value] }))).not.toContain(value);
  expect(withoutSecrets([name, value, 'accept', '*/*'], RECOGNISED, () => false)).toEqual(['accept', '*/*']);
  expect(queryWithoutSecrets(`a=1&${name}=${value}`, RECOGNISED)).toBe('a=1');
  const loaded = load(`    headers: { set: { ${name}: ${value} } }`);
  expect(JSON.stringify(shownConfig(loaded.config))).not.toContain(value);
  const route = loaded.config.upstreams[0]?.routes[0];
  expect(JSON.stringify(route && routeValues(loaded, route))).not.toContain(value);
});

/** Words of which at least two stand in any list of secret names. */
const WORDS =
  /authorization|cookie|api-?_?key|token|secret|passw|signature|credential|bearer|account|tenant|workspace/gi;

/** They name headers for other reasons than to say which are secret. */
const OTHER_LISTS = [
  'src/http/credentials.ts',
  // The default headers that a quota counts by.
  'src/config/keys/quota.ts',
  // Fields that a signature of the proxy's own replaces.
  'src/auth/options.ts',
  // Headers that a proxy never forwards or stores, by their own rules.
  'src/http/headers.ts',
];

test('no other file has its own list of secret names', () => {
  const second = globSync('src/**/*.ts')
    .filter((file) => !OTHER_LISTS.includes(file) && !file.startsWith('src/presets/'))
    .filter((file) =>
      listsIn(readFileSync(file, 'utf8')).some(
        (list) => new Set((list.match(WORDS) ?? []).map((word) => word.toLowerCase())).size > 1,
      ),
    );
  expect(second).toEqual([]);
});

/** Regular expressions, and the lists of texts in sets and arrays. */
function listsIn(source: string): string[] {
  const code = source.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
  return [...code.matchAll(/\[(?:\s*'[^'\n]*',?)+\s*\]|\/[^/\n]+\|[^/\n]+\/[a-z]*/g)].map(([text]) => text);
}
