import { globSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { replyHeaders } from '../../src/http/headers.ts';
import { NOTE_ROWS, NOTED_HEADERS, type NoteName } from '../../src/proxy/notes.ts';
import { type CallLine, callLine } from '../../src/telemetry/call-log.ts';
import { METRICS } from '../../src/telemetry/metrics/families.ts';
import { renderMetricsTable } from '../../src/telemetry/metrics/table.ts';
import { metricsOf, sampleOf, scraped } from '../support/metrics.ts';
import { Story } from '../support/record.ts';

const rows = Object.entries(NOTE_ROWS) as [NoteName, (typeof NOTE_ROWS)[NoteName]][];

describe.each(rows)('%s', (name, { field, logged, fold, counter, histogram }) => {
  const FOLDED = { latest: sampleOf(name), sum: 3_000, count: 2, list: [sampleOf(name), sampleOf(name)] };

  test('is folded into its field, and the log line has that field', () => {
    const { record } = new Story();
    for (let i = 0; i < 2; i++) record.note(name, sampleOf(name));
    const expected = field === undefined ? {} : { [field]: FOLDED[fold] };
    expect(record.notes).toEqual(expected);
    const { [field as keyof CallLine]: inLog } = callLine(record);
    expect(inLog).toEqual(field === undefined || logged === false ? undefined : FOLDED[fold]);
  });

  test('is counted in its metric: once for each time that it is noted, or by its number', async () => {
    const metrics = metricsOf();
    const { record } = new Story(metrics);
    for (let i = 0; i < 2; i++) record.note(name, sampleOf(name));
    const base = 'upstream="demo",route="default"';
    // Of `name=value`, only the name is a label.
    const label = counter?.label === undefined ? '' : `,${counter.label}="some"`;
    const count = counter?.adds === true ? 3_000 : 2;
    const counted = counter === undefined ? '' : `${counter.name}{${base}${label}} ${count}`;
    const timed = histogram === undefined ? '' : `${histogram.name}_sum{${base}} 3`;
    expect(await scraped(metrics)).toContain(counted);
    expect(await scraped(metrics)).toContain(timed);
  });

  test('in the background it is not recorded', () => {
    const { record } = new Story();
    record.inBackground().note(name, sampleOf(name));
    expect(record.notes).toEqual({});
  });
});

test('what is noted at another upstream is counted there', async () => {
  const metrics = metricsOf();
  const { record } = new Story(metrics);
  record.elsewhere('backup', 'orders').note('retry_denied', 'budget');
  record.elsewhere('backup', 'orders').note('queued', 40);
  expect(record.notes).toEqual({ queued_ms: 40 });
  expect(await scraped(metrics)).toContain(
    'breakwater_retries_denied_total{upstream="backup",route="orders",reason="budget"} 1',
  );
});

test('of background work the cache counts nothing, all others count', async () => {
  const metrics = metricsOf();
  const { record } = new Story(metrics);
  record.inBackground().note('cache', 'miss');
  record.inBackground().note('rejected', 'breaker_open');
  const text = await scraped(metrics);
  expect(text).not.toContain('breakwater_cache_requests_total{');
  expect(text).toContain(
    'breakwater_rejected_total{upstream="demo",route="default",reason="breaker_open"} 1',
  );
});

test('an ordinary call shares one empty set of notes', () => {
  expect(new Story().record.notes).toBe(new Story().record.notes);
});

/** The second truth: a metric of a note that another file names too. */
test('the catalogue alone names the metrics of notes', () => {
  const names = rows.flatMap(([, { counter, histogram }]) => counter?.name ?? histogram?.name ?? []);
  const naming = globSync('src/**/*.ts').filter((file) => {
    const source = readFileSync(file, 'utf8');
    return names.some((name) => source.includes(`'${name}'`));
  });
  expect(naming).toEqual(['src/proxy/notes.ts']);
});

test.each(NOTED_HEADERS)(
  "$header: an upstream's own field of that name is dropped (OURS in http/headers.ts)",
  ({ header }) => expect(replyHeaders([header, 'forged']).slice(0, -2)).toEqual([]),
);

test('all metrics have names of their own, and docs/metrics.md lists them', () => {
  const names = METRICS.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  expect(readFileSync('docs/metrics.md', 'utf8')).toContain(renderMetricsTable().trim());
});
