import type { Random } from '../../src/runtime/random.ts';

/**
 * Texts that break parsers, inserted at any place. No `Upgrade`: node:http loses what comes in one packet behind one that it
 * ignores, so that the rest of a round would never arrive.
 */
const TOKENS = [
  '\r',
  '\n',
  '\r\n',
  '\r\n\r\n',
  '\n\n',
  ' ',
  '\t',
  '\0',
  '\x0b',
  '\x7f',
  '\xff',
  ':',
  ',',
  ';',
  '0\r\n\r\n',
  'ffffffffffffffff\r\n',
  'Content-Length: 5\r\n',
  'Content-Length: 0\r\n',
  'Content-Length: 99999\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: identity\r\n',
  'Transfer-Encoding : chunked\r\n',
  'Host: evil\r\n',
  'Connection: close\r\n',
  'Connection: host, content-length, x-id\r\n',
  'Expect: 100-continue\r\n',
  ' folded\r\n',
  'HTTP/1.0\r\n',
  'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 100 Continue\r\n\r\n',
  'GET /api/smuggled HTTP/1.1\r\nHost: app\r\n\r\n',
  '/../',
  '%2e%2e%2f',
  '#',
] as const;

const below = (limit: number, random: Random) => Math.floor(random() * limit);

const MUTATIONS: readonly ((text: string, at: number, random: Random) => string)[] = [
  // Changes a bit or byte; removes, repeats or moves a piece; truncates; inserts a token, or replaces a byte by one.
  (text, at, random) =>
    text.slice(0, at) +
    String.fromCharCode(text.charCodeAt(at) ^ (1 << below(8, random))) +
    text.slice(at + 1),
  (text, at, random) => text.slice(0, at) + String.fromCharCode(below(256, random)) + text.slice(at + 1),
  (text, at, random) => text.slice(0, at) + text.slice(at + 1 + below(12, random)),
  (text, at, random) => {
    const end = at + 1 + below(60, random);
    return text.slice(0, end) + text.slice(at);
  },
  (text, at, random) => {
    const end = at + 1 + below(30, random);
    const rest = text.slice(0, at) + text.slice(end);
    const to = below(rest.length + 1, random);
    return rest.slice(0, to) + text.slice(at, end) + rest.slice(to);
  },
  (text, at) => text.slice(0, at),
  (text, at, random) => text.slice(0, at) + TOKENS[below(TOKENS.length, random)] + text.slice(at),
  (text, at, random) => text.slice(0, at) + TOKENS[below(TOKENS.length, random)] + text.slice(at + 1),
  // A token at the beginning of a line, where it counts most.
  (text, at, random) => {
    const line = text.indexOf('\r\n', at) + 2;
    return line < 2 ? text : text.slice(0, line) + TOKENS[below(TOKENS.length, random)] + text.slice(line);
  },
  // Another number in a number's place.
  (text, at, random) => {
    const found = /\d+/.exec(text.slice(at));
    if (found === null) return text;
    const numbers = ['0', '1', '-1', '+1', '00', '1e3', '0x1', '4294967297', '9223372036854775808', ''];
    const start = at + found.index;
    return (
      text.slice(0, start) + numbers[below(numbers.length, random)] + text.slice(start + found[0].length)
    );
  },
];

/** `text` with one to three mutations. Only the given random decides, so that a seed is repeatable. */
export function mutate(text: string, random: Random): string {
  let mutated = text;
  for (let wounds = 1 + below(3, random); wounds > 0 && mutated !== ''; wounds--) {
    mutated =
      MUTATIONS[below(MUTATIONS.length, random)]?.(mutated, below(mutated.length, random), random) ?? '';
  }
  return mutated;
}
