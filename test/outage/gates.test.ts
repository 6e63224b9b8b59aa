import { expect, test } from 'vitest';
import { ABLATIONS } from '../../bench/outage/ablations.ts';
import { plainSubject, streamSubject, subjectWith } from '../../bench/outage/default-policy.ts';
import {
  EXTRA_GATES,
  GATES,
  type Gate,
  measure,
  PLAIN_GATES,
  readings,
  SEEDS,
  STREAM_GATES,
} from '../../bench/outage/gates.ts';
import { OPEN, ROWS, readingsOf } from '../../bench/outage/rows.ts';

/** Virtual time: some 260 simulated seconds take under a second, more on a busy machine. */
const TIMEOUT_MS = 120_000;

const gates = [...GATES, ...EXTRA_GATES];
const shipped = subjectWith();

async function broken(
  subject: typeof shipped,
  gate: Gate,
  onSidecar?: Parameters<typeof measure>[3],
): Promise<string[]> {
  const texts: string[] = [];
  for (const seed of SEEDS) {
    const all = readings(gate.bounds, await measure(subject, gate, seed, onSidecar));
    texts.push(...all.filter(({ holds }) => !holds).map(({ text }) => `seed ${seed}: ${text}`));
  }
  return texts;
}

test.each(gates.map((gate) => [gate.name, gate] as const))(
  'the shipped defaults hold the gate: %s',
  async (_name, gate) => {
    expect(await broken(shipped, gate)).toEqual([]);
  },
  TIMEOUT_MS,
);

test.each(PLAIN_GATES.map((gate) => [gate.name, gate] as const))(
  'and without any timeout written: %s',
  async (_name, gate) => {
    expect(await broken(plainSubject(), gate)).toEqual([]);
  },
  TIMEOUT_MS,
);

test.each(STREAM_GATES.map((gate) => [gate.name, gate] as const))(
  'and of routes with streams: %s',
  async (_name, gate) => {
    expect(await broken(streamSubject(), gate)).toEqual([]);
  },
  TIMEOUT_MS,
);

test.each(ROWS.filter(({ name }) => !OPEN.has(name)).map((row) => [row.id, row.name, row] as const))(
  'the shipped defaults in situation %s: %s',
  async (_id, _name, row) => {
    for (const seed of SEEDS) {
      const missed = (await readingsOf(row, seed)).filter(({ holds }) => !holds);
      expect(missed.map(({ text }) => `seed ${seed}: ${text}`)).toEqual([]);
    }
  },
  TIMEOUT_MS,
);

test.each(ABLATIONS.map((ablation) => [ablation.breaks, ablation.name, ablation] as const))(
  'the gate %s notices: %s',
  async (name, _what, { config, tamper }) => {
    const gate = gates.find((candidate) => candidate.name === name);
    if (gate === undefined) throw new Error(`no gate ${name}`);
    expect(await broken(subjectWith(config), gate, tamper)).toHaveLength(SEEDS.length);
  },
  TIMEOUT_MS,
);
