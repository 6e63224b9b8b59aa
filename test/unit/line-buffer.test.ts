import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { LineBuffer } from '../../src/runtime/line-buffer.ts';

/** A stream whose reader takes a write only when the test says so. */
function stalled(mostWaiting: number) {
  const written: string[] = [];
  const reports: number[] = [];
  let taken: ((error?: Error) => void) | undefined;
  const stream = new Writable({
    decodeStrings: false,
    write: (text: string, _encoding, done) => {
      written.push(text);
      taken = done;
    },
  });
  const lines = new LineBuffer(stream, (dropped) => reports.push(dropped), mostWaiting);
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  return { lines, stream, written, reports, turn, take: () => taken?.() };
}

test('lines of one turn go out in one write, in order', async () => {
  const { lines, written, turn } = stalled(100);
  lines.write('a\n');
  lines.write('b\n');
  await turn();
  expect(written).toEqual(['a\nb\n']);
});

test('a stalled reader delays no line; lines beyond the bound are counted, and reported when it continues', async () => {
  const { lines, written, reports, turn, take } = stalled(6);
  for (const line of ['a\n', 'b\n', 'c\n', 'd\n', 'e\n']) lines.write(line);
  expect(lines.dropped).toBe(2);
  await turn();
  expect(reports).toEqual([]);
  take();
  await turn();
  expect(written).toEqual(['a\nb\nc\n']);
  expect(reports).toEqual([2]);
  lines.write('f\n');
  await turn();
  expect(written).toEqual(['a\nb\nc\n', 'f\n']);
  expect(lines.dropped).toBe(2);
});

test('flushed() resolves when all lines are written, and at once if none waits', async () => {
  const { lines, turn, take } = stalled(100);
  await lines.flushed();
  lines.write('a\n');
  let flushed = false;
  void lines.flushed().then(() => {
    flushed = true;
  });
  await turn();
  expect(flushed).toBe(false);
  take();
  await turn();
  expect(flushed).toBe(true);
});

test('a reader that has gone ends flushed(), and later lines are counted as lost', async () => {
  const { lines, stream, turn } = stalled(100);
  lines.write('a\n');
  await turn();
  const flushed = lines.flushed();
  stream.destroy(new Error('EPIPE'));
  await flushed;
  lines.write('b\n');
  expect(lines.dropped).toBe(1);
});
