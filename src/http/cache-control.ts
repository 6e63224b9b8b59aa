import { headersOf, type RawHeaders } from './headers.ts';
import { membersOf } from './lists.ts';

/** RFC 9111 §1.2.2: a larger number of seconds counts as this one. */
const MOST_SECONDS = 2 ** 31;

/** A number of seconds (RFC 9111 §1.2.2); undefined for all else. */
export function deltaSeconds(text: string): number | undefined {
  return /^\d+$/.test(text) ? Math.min(Number(text), MOST_SECONDS) : undefined;
}

/** A directive that came twice with different values has none that is valid (RFC 9111 §4.2.1). */
const NO_VALUE = ' ';

/** The directives of Cache-Control, or of a field that is written like it (RFC 9111 §5.2). */
export class Directives {
  readonly #values = new Map<string, string>();

  constructor(headers: RawHeaders, field = 'cache-control') {
    for (const line of headersOf(headers, field)) for (const member of membersOf(line)) this.#add(member);
  }

  get none(): boolean {
    return this.#values.size === 0;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** Whether it came without a value. */
  isBare(name: string): boolean {
    return this.#values.get(name) === '';
  }

  /** Undefined: it did not come; 0: its value is no number of seconds. */
  seconds(name: string): number | undefined {
    const value = this.#values.get(name);
    return value === undefined ? undefined : (deltaSeconds(value) ?? 0);
  }

  #add(member: string): void {
    const mark = member.indexOf('=');
    const name = (mark < 0 ? member : member.slice(0, mark)).trimEnd().toLowerCase();
    const value = mark < 0 ? '' : unquoted(member.slice(mark + 1).trimStart());
    const known = this.#values.get(name);
    this.#values.set(name, known === undefined || known === value ? value : NO_VALUE);
  }
}

const unquoted = (text: string): string =>
  /^".*"$/s.test(text) ? text.slice(1, -1).replaceAll(/\\(.)/gs, '$1') : text;
