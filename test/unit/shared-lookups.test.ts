import { expect, test } from 'vitest';
import { type LookupCallback, SharedLookups } from '../../src/upstream/shared-lookups.ts';

const ADDRESS = { address: '93.184.216.1', family: 4 };

/** A resolver whose answers the test controls. */
function resolver(mostAtOnce?: number) {
  const asked: { name: string; answer: LookupCallback }[] = [];
  const lookups = new SharedLookups((name, _options, answer) => asked.push({ name, answer }), mostAtOnce);
  const ask = (name: string, family?: number) =>
    new Promise<unknown>((resolve, reject) =>
      lookups.resolve(name, { all: true, ...(family && { family }) }, (error, addresses) =>
        error === null ? resolve(addresses) : reject(error),
      ),
    );
  return { asked, ask, names: () => asked.map(({ name }) => name) };
}

test('callers that ask for one name at the same time share one lookup', async () => {
  const { asked, ask, names } = resolver();
  const answers = Array.from({ length: 100 }, () => ask('api.example'));
  expect(names()).toEqual(['api.example']);
  asked[0]?.answer(null, [ADDRESS]);
  const found = (await Promise.all(answers)) as unknown[][];
  expect(found).toEqual(Array.from({ length: 100 }, () => [ADDRESS]));
  expect(found[0]).not.toBe(found[1]);
});

test('a name is resolved again after its lookup has ended', async () => {
  const { asked, ask, names } = resolver();
  const first = ask('api.example');
  asked[0]?.answer(Object.assign(new Error('gone'), { code: 'ENOTFOUND' }), []);
  await expect(first).rejects.toThrow('gone');
  const second = ask('api.example');
  asked[1]?.answer(null, [ADDRESS]);
  expect(await second).toEqual([ADDRESS]);
  expect(names()).toEqual(['api.example', 'api.example']);
});

test('a name that hangs does not block other names, however often it is requested', async () => {
  const { asked, ask } = resolver(2);
  for (let call = 0; call < 50; call++) void ask('hangs.example');
  const other = ask('well.example');
  asked[1]?.answer(null, [ADDRESS]);
  expect(await other).toEqual([ADDRESS]);
});

test('lookups beyond the bound wait until one ends', async () => {
  const { asked, ask, names } = resolver(2);
  const calls = ['a', 'b', 'c', 'd'].map((name) => ask(`${name}.example`));
  expect(names()).toEqual(['a.example', 'b.example']);
  asked[1]?.answer(null, [ADDRESS]);
  expect(names()).toEqual(['a.example', 'b.example', 'c.example']);
  await calls[1];
});

test('lookups with other options are not shared', () => {
  const { ask, names } = resolver();
  void ask('api.example', 4);
  void ask('api.example', 6);
  expect(names()).toHaveLength(2);
});
