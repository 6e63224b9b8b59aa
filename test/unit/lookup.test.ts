import type { LookupAddress, LookupOptions } from 'node:dns';
import { describe, expect, test } from 'vitest';
import { createLookup } from '../../src/upstream/lookup.ts';
import type { Resolve } from '../../src/upstream/shared-lookups.ts';
import { FakeClock } from '../support/fake-clock.ts';

const v4 = (address: string): LookupAddress => ({ address, family: 4 });
const v6 = (address: string): LookupAddress => ({ address, family: 6 });
const answers =
  (...addresses: LookupAddress[]): Resolve =>
  (_name, _options, answered) =>
    answered(null, addresses);

const lookupOf = (resolve: Resolve, { allowPrivate = false, clock = new FakeClock() } = {}) =>
  createLookup({ allowPrivate, timeoutMs: 2_000, clock, resolve });

type Asked = ReturnType<typeof lookupOf>;

const ask = (lookup: Asked, options: LookupOptions = { all: true }) =>
  new Promise<unknown>((resolve, reject) => {
    lookup('api.example', options, (error, address, family) =>
      error === null ? resolve(options.all === true ? address : [address, family]) : reject(error),
    );
  });

const PRIVATE = [
  v4('127.0.0.1'),
  v4('10.1.2.3'),
  v4('172.16.0.1'),
  v4('192.168.1.1'),
  v4('169.254.169.254'),
  v4('0.0.0.0'),
  v4('100.64.0.1'),
  v4('224.0.0.1'),
  v4('255.255.255.255'),
  v6('::1'),
  v6('::'),
  v6('fd00:ec2::254'),
  v6('fe80::1'),
  v6('::ffff:127.0.0.1'),
  v6('::ffff:169.254.169.254'),
  v6('64:ff9b::a9fe:a9fe'),
  v6('::7f00:1'),
];

describe('private addresses', () => {
  test.each(PRIVATE)('$address is refused', async (address) => {
    await expect(ask(lookupOf(answers(address)))).rejects.toMatchObject({
      code: 'address_prohibited',
      sent: 'not_sent',
      message: 'api.example resolves to a private address; to allow it, set allow_private: true',
    });
  });

  test.each(PRIVATE)('$address is allowed where that is meant', async (address) => {
    expect(await ask(lookupOf(answers(address), { allowPrivate: true }))).toEqual([address]);
  });

  test('are skipped if there are public ones too', async () => {
    const lookup = lookupOf(answers(v4('10.0.0.1'), v4('93.184.216.1'), v6('::1')));
    expect(await ask(lookup)).toEqual([v4('93.184.216.1')]);
    expect(await ask(lookup, {})).toEqual(['93.184.216.1', 4]);
  });
});

describe('the order', () => {
  test('starts with another address each time', async () => {
    const lookup = lookupOf(answers(v4('93.184.216.1'), v4('93.184.216.2'), v4('93.184.216.3')));
    const firsts = [];
    for (let i = 0; i < 4; i++) firsts.push(((await ask(lookup)) as LookupAddress[])[0]?.address);
    expect(firsts).toEqual(['93.184.216.1', '93.184.216.2', '93.184.216.3', '93.184.216.1']);
    expect(await ask(lookup, {})).toEqual(['93.184.216.2', 4]);
  });

  test('keeps the system’s first family first, and loses no address', async () => {
    const lookup = lookupOf(answers(v6('2606:4700::1'), v4('93.184.216.1'), v6('2606:4700::2')));
    expect(await ask(lookup)).toEqual([v6('2606:4700::1'), v6('2606:4700::2'), v4('93.184.216.1')]);
    expect(await ask(lookup)).toEqual([v6('2606:4700::2'), v6('2606:4700::1'), v4('93.184.216.1')]);
  });
});

describe('no address', () => {
  test('the resolver’s error is unchanged', async () => {
    const failure = Object.assign(new Error('queryA ENOTFOUND'), { code: 'ENOTFOUND' });
    const clock = new FakeClock();
    const lookup = lookupOf((_name, _options, answered) => answered(failure, []), { clock });
    await expect(ask(lookup)).rejects.toBe(failure);
    expect(clock.pending).toBe(0);
  });

  test('an empty answer is a DNS error', async () => {
    await expect(ask(lookupOf(answers()))).rejects.toMatchObject({ code: 'dns_error', sent: 'not_sent' });
  });

  test('a resolver that does not answer in time is a DNS timeout, and a later answer is ignored', async () => {
    const clock = new FakeClock();
    let late: Parameters<Resolve>[2] = () => {};
    const lookup = lookupOf((_name, _options, answered) => (late = answered), { clock });
    const errors: unknown[] = [];
    lookup('api.example', { all: true }, (error) => errors.push(error));
    await clock.advance(1_999);
    expect([clock.pending, errors.length]).toEqual([1, 0]);
    await clock.advance(1);
    expect(errors).toEqual([expect.objectContaining({ code: 'dns_timeout', sent: 'not_sent' })]);
    late(null, [v4('93.184.216.1')]);
    expect(errors).toHaveLength(1);
  });
});

test('the resolver is asked for all addresses, with the socket’s other options', async () => {
  let seen: unknown;
  const lookup = lookupOf((_name, options, answered) => {
    seen = options;
    answered(null, [v4('93.184.216.1')]);
  });
  await ask(lookup, { family: 4, hints: 32 });
  expect(seen).toEqual({ family: 4, hints: 32, all: true });
});
