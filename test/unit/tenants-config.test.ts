import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/read/problem.ts';

const load = (text: string) =>
  loadConfig('config.yaml', { REGION: 'eu-central-1' }, () => `upstreams:\n${text}\n`);

function upstreamOf(keys: string, name = 'shop') {
  const loaded = load(`  ${name}: { ${keys} }`);
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'));
  return loaded.config.upstreams[0];
}

function problemsOf(keys: string): string[] {
  const loaded = load(`  shop: { ${keys} }`);
  return loaded.ok
    ? []
    : loaded.problems.map(formatProblem).map((text) => text.replace(/^.*? {2}upstreams\./, ''));
}

const URL = 'url: "https://{shop}.myshopify.com"';

describe('a placeholder of url is filled', () => {
  test('by the mount', () =>
    expect(upstreamOf(`${URL}, mount: { path: "/s/{shop}/api" }`)).toMatchObject({
      origin: 'https://{shop}.myshopify.com',
      mount: { path: '/s/{shop}/api' },
      tenants: { placeholder: 'shop', header: undefined, matches: undefined, dots: false, max: 1_000 },
    }));

  test('by a header, which no call passes on', () => {
    const upstream = upstreamOf(
      `${URL}, tenant: { header: X-Shop, matches: "^a", max: 7 }, headers: { remove: [x-b] }`,
    );
    expect(upstream).toMatchObject({
      mount: { path: '/shop' },
      tenants: { header: 'x-shop', matches: '^a', max: 7 },
    });
    expect(upstream?.routes[0]?.headers.remove).toEqual(['x-b', 'x-shop']);
  });

  test('by vars, so that all calls go to one host', () =>
    expect(
      upstreamOf('url: "https://{s}.{r}.amazonaws.com/{s}", vars: { s: SQS, r: "${REGION}" }'),
    ).toMatchObject({
      origin: 'https://sqs.eu-central-1.amazonaws.com',
      basePath: '/sqs',
      mount: { path: '/shop' },
      tenants: undefined,
    }));

  test.each([
    [
      URL,
      'shop.url: nothing fills {shop}; write mount: { path: "/shop/{shop}" }, or tenant: { header: x-tenant }, or vars: { shop: … }',
    ],
    [`${URL}, mount: { path: /shop }`, 'shop.mount: nothing fills {shop}; write mount'],
    [`${URL}, mount: { path: "/shop/{id}" }`, 'shop.mount: nothing fills {shop}'],
    [
      `${URL}, mount: { path: "/a{shop}" }`,
      'shop.mount.path: "/a{shop}" contains a placeholder; it can only be {shop}, and a whole segment, such as /{shop}',
    ],
    [
      `${URL}, mount: { path: "/{shop}/{shop}" }`,
      'shop.mount.path: "/{shop}/{shop}" contains {shop} twice; remove one',
    ],
    [
      `${URL}, mount: { host: "a.{shop}.internal" }`,
      'shop.mount.host: "a.{shop}.internal" contains a placeholder; it can only be {shop}, and the first label',
    ],
    [
      `${URL}, mount: { path: "/{shop}" }, tenant: { header: x-shop }`,
      'shop.tenant.header: mount has {shop} too; remove one of the two',
    ],
    [
      'url: https://a.example.com, tenant: { header: x-shop }',
      'shop.tenant: url has no placeholder such as {shop}; remove tenant',
    ],
    [
      'url: https://a.example.com, mount: { path: "/{shop}" }',
      'shop.mount.path: "/{shop}" contains a placeholder, and url has none; remove it',
    ],
    [`${URL}, vars: { shop: a, other: b }`, 'shop.vars.other: url has no placeholder {other}, but {shop}'],
    [
      'url: https://a.example.com, vars: { shop: a }',
      'shop.vars.shop: url has no placeholder {shop}; remove it',
    ],
    [
      `${URL}, vars: { shop: "a/b" }`,
      'shop.vars.shop: is not a part of a host name; write letters, digits and hyphens',
    ],
    [
      'url: "https://{a}.{b}.example.com", mount: { path: "/{a}" }',
      'shop.url: {a} and {b} have no value, and calls can fill only one of them; write vars: { b: … }',
    ],
    [
      `${URL}, tenant: { header: x-shop, matches: "(" }`,
      'shop.tenant.matches: is not a valid RE2 expression',
    ],
  ])('%s is an error', (keys, problem) => expect(problemsOf(keys).join('\n')).toContain(problem));

  test.each(['{shop}.com', '{shop}myshopify.com', 'a.{shop}', '{shop}', 'a-{shop}.com'])(
    'never so that a caller could choose a domain: %s',
    (host) =>
      expect(problemsOf(`url: "https://${host}", tenant: { header: x-shop }`).join()).toContain(
        'shop.url: callers could choose any domain with {shop}; write the domain behind it',
      ),
  );

  test.each([
    '{shop}.internal',
    '{shop}.example',
    'a-{shop}.example.com',
    'a.{shop}.example.com',
    '{shop}.xn--mnchen-3ya.de',
  ])('with a domain behind it: %s', (host) =>
    expect(problemsOf(`url: "https://${host}", tenant: { header: x-shop }`)).toEqual([]),
  );

  test('and two mounts that differ only in its name are one', () => {
    const of = (name: string, id: string) =>
      `  ${name}: { url: "https://{${id}}.example.com", mount: { path: "/x/{${id}}" } }`;
    const loaded = load(`${of('a', 'shop')}\n${of('b', 'site')}`);
    expect(loaded.ok ? [] : loaded.problems.map(formatProblem)).toEqual([
      expect.stringContaining('upstreams.b.mount.path: /x/{site} is already used by upstreams.a'),
    ]);
  });

  test('never for a fallback, because a failed call names no tenant there', () => {
    const loaded = load(
      `  shop: { ${URL}, mount: { path: "/shop/{shop}" } }\n  api: { url: https://a.example.com, fallback: { upstream: shop } }`,
    );
    expect(loaded.ok ? [] : loaded.problems.map(formatProblem).join()).toContain(
      'shop has the placeholder {shop} in url',
    );
  });
});

describe('a preset has the URL of its API', () => {
  test.each([
    ['shopify', 'https://{shop}.myshopify.com', 'shop'],
    ['atlassian', 'https://{site}.atlassian.net', 'site'],
    ['azure-openai', 'https://{resource}.openai.azure.com', 'resource'],
    ['okta', 'https://{org}.okta.com', 'org'],
    ['salesforce', 'https://{domain}.my.salesforce.com', 'domain'],
    ['zendesk', 'https://{subdomain}.zendesk.com', 'subdomain'],
  ])('%s: each call names its tenant in the path', (preset, origin, placeholder) =>
    expect(upstreamOf(`preset: ${preset}`)).toMatchObject({
      origin,
      mount: { path: `/shop/{${placeholder}}` },
      tenants: { placeholder },
    }),
  );

  test('vars fix a host, also for one preset of several placeholders', () => {
    expect(upstreamOf('preset: azure-openai, vars: { resource: acme }')).toMatchObject({
      origin: 'https://acme.openai.azure.com',
      mount: { path: '/shop' },
      tenants: undefined,
    });
    expect(upstreamOf('preset: aws, vars: { service: sqs }')).toMatchObject({
      origin: 'https://sqs.{region}.amazonaws.com',
      mount: { path: '/shop/{region}' },
    });
    expect(problemsOf('preset: aws').join()).toContain(
      'shop.preset: {service} and {region} have no value, and calls can fill only one of them; write vars: { region: … }',
    );
  });

  test('twilio and google-maps have one host, and a written url wins', () => {
    expect(upstreamOf('preset: twilio')).toMatchObject({
      origin: 'https://api.twilio.com',
      tenants: undefined,
    });
    expect(upstreamOf('preset: google-maps')).toMatchObject({ origin: 'https://maps.googleapis.com' });
    expect(upstreamOf('preset: twilio, url: https://verify.twilio.com')).toMatchObject({
      origin: 'https://verify.twilio.com',
    });
    expect(problemsOf('preset: stripe').join()).toContain('shop.url: is missing');
  });
});
