import { expect, test } from 'vitest';
import { SseReader } from '../../src/http/event-stream/sse.ts';
import { EventMatcher, type EventMeaning } from '../../src/policies/stream/event-matcher.ts';
import type { EventCondition } from '../../src/policies/stream/options.ts';
import { streamTexts } from '../../src/simulate/stream-texts.ts';

const condition = (changes: Partial<EventCondition>): EventCondition => ({
  events: [],
  data: [],
  body: [],
  text: [],
  ...changes,
});

const rule = (changes: Partial<EventCondition>) => ({
  ...condition(changes),
  name: 'it',
  status: 529,
  means: undefined,
  throttled: false,
  wait: undefined,
});

test.each([
  ['names', { events: ['err*'] }],
  ['data', { data: ['[DONE]'] }],
  [
    'values',
    {
      body: [
        [['error', 'type'], ['over*']],
        [['error', 'code'], ['1']],
      ] as EventCondition['body'],
    },
  ],
  ['any member', { body: [[['list', '*', 'code'], ['*']]] as EventCondition['body'] }],
  ['text', { events: ['a'], text: ['boom'] }],
] satisfies readonly (readonly [string, Partial<EventCondition>])[])(
  'the simulated events fulfil conditions on %s',
  (_, changes: Partial<EventCondition>) => {
    const options = {
      errors: [rule({ ...changes, events: [...(changes.events ?? []), 'e'] })],
      done: [condition(changes)],
    };
    const meanings = (text: string, matcher: EventMatcher): EventMeaning[] => {
      const found: EventMeaning[] = [];
      const reader = new SseReader(1_000, {
        onEvent: (event) => void found.push(matcher.meaningOf(event, [], { wallTime: () => 0 })),
        onAllRead: () => {},
        onUnreadable: () => {},
        onReady: () => {},
      });
      reader.read(Buffer.from(text));
      return found;
    };
    const texts = streamTexts(options);
    const onlyDone = new EventMatcher({ ...options, errors: [], ignore: [] });
    expect(meanings(texts.good, onlyDone)).toEqual(['meaningful', 'done']);
    expect(meanings(texts.error, new EventMatcher({ ...options, ignore: [] }))).toMatchObject([
      { status: 529 },
    ]);
  },
);

test('without rules an error event is named error', () => {
  expect(streamTexts(undefined).error).toBe('event: error\ndata: {}\n\n');
});

test('the simulated error is one that passes, also if rules for quotas and wrong requests come first', () => {
  const errors = [
    { ...rule({ events: ['unpaid'] }), throttled: true },
    { ...rule({ events: ['refused'] }), means: 'permanent' as const },
    rule({ events: ['overloaded'] }),
  ];
  expect(streamTexts({ errors, done: [] }).error).toContain('event: overloaded\n');
  expect(streamTexts({ errors: errors.slice(0, 2), done: [] }).error).toContain('event: unpaid\n');
});
