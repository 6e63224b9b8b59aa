import { expect, test } from 'vitest';
import { withoutSubmissionFields } from '../../src/durable/submission-options.ts';
import { preferencesOf } from '../../src/http/preferences.ts';

const said = (...values: string[]) => preferencesOf(values.flatMap((value) => ['Prefer', value]));

test('without the field nothing is preferred', () =>
  expect(preferencesOf(['Accept', '*/*'])).toBeUndefined());

test.each([
  [['respond-async'], { respondAsync: true, waitSeconds: undefined, strict: false }],
  [['Respond-Async, Wait=10'], { respondAsync: true, waitSeconds: 10, strict: false }],
  [['respond-async', 'wait="5"'], { respondAsync: true, waitSeconds: 5, strict: false }],
  [
    ['handling=strict; foo=bar , respond-async'],
    { respondAsync: true, waitSeconds: undefined, strict: true },
  ],
  [['handling=lenient'], { respondAsync: false, waitSeconds: undefined, strict: false }],
  [['wait=1, wait=2'], { respondAsync: false, waitSeconds: 1, strict: false }],
  [['wait=-1'], { respondAsync: false, waitSeconds: undefined, strict: false }],
  [['foo="a, respond-async, wait=1"'], { respondAsync: false, waitSeconds: undefined, strict: false }],
  [['foo="\\", respond-async", wait=2'], { respondAsync: false, waitSeconds: 2, strict: false }],
  [['foo="open, respond-async'], { respondAsync: true, waitSeconds: undefined, strict: false }],
  [['wait=1e3, respond-asyncx'], { respondAsync: false, waitSeconds: undefined, strict: false }],
])('Prefer: %j', (values, expected) => expect(said(...values)).toEqual(expected));

test('preferences for the proxy are not forwarded, others are', () => {
  const sent = [
    'Prefer',
    'respond-async, wait=10, return=minimal, foo="a, wait=1"',
    'Breakwater-Key',
    'k',
    'X-A',
    '1',
    'prefer',
    'wait=3',
  ];
  expect(withoutSubmissionFields(sent)).toEqual(['Prefer', 'return=minimal, foo="a, wait=1"', 'X-A', '1']);
});
