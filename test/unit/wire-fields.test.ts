import { expect, test } from 'vitest';
import { wireFields } from '../../src/upstream/wire-fields.ts';

const bytes = (...texts: readonly string[]): Buffer[] => texts.map((text) => Buffer.from(text, 'latin1'));

test('names keep their case, also after the same name in another case', () => {
  for (const name of ['X-Name', 'x-name', 'X-NAME', 'X-Name'])
    expect(wireFields(bytes(name, '1'))).toEqual([name, '1']);
});

test('names with the same length, first, middle and last byte are not mixed up', () => {
  for (const name of ['x-abMcd-z', 'x-cdMab-z', 'x-abMcd-z'])
    expect(wireFields(bytes(name, '1'))).toEqual([name, '1']);
});

test('a name stays the same if the packet that brought it is overwritten', () => {
  const [name, value] = bytes('x-efMgh-z', '1') as [Buffer, Buffer];
  expect(wireFields([name, value])).toEqual(['x-efMgh-z', '1']);
  name.write('x-ghMef-z', 'latin1');
  expect(wireFields(bytes('x-ghMef-z', '1', 'x-efMgh-z', '2'))).toEqual(['x-ghMef-z', '1', 'x-efMgh-z', '2']);
});

test('repeated fields keep their order and values', () => {
  const texts = ['Set-Cookie', 'a=1', 'Date', 'now', 'set-cookie', 'b=2'];
  expect(wireFields(bytes(...texts))).toEqual(texts);
});

test('bytes beyond ASCII are latin1, in names and values', () => {
  expect(wireFields(bytes('X-\xe9', '\xe9'))).toEqual(['X-\xe9', '\xe9']);
});

test('whitespace at the end is not part of a value, and a no-break space is', () => {
  const raw = bytes('X-A', 'a \t b \t', 'x-b', ' \t', 'x-b', 'b\xa0');
  expect(wireFields(raw)).toEqual(['X-A', 'a \t b', 'x-b', '', 'x-b', 'b\xa0']);
});

test('a name of any length is read', () => {
  const long = 'X'.repeat(5_000);
  expect(wireFields(bytes(long, '1', 'x', ''))).toEqual([long, '1', 'x', '']);
});
