import { headersOf, type RawHeaders } from './headers.ts';
import { membersOf } from './lists.ts';

/** Larger numbers of seconds count as this one (RFC 9111 §1.2.2). */
const MOST_SECONDS = 2 ** 31;

/** A number of seconds (RFC 9111 §1.2.2); undefined for other text. */
export function deltaSeconds(text: string): number | undefined {
  return /^\d+$/.test(text) ? Math.min(Number(text), MOST_SECONDS) : undefined;
}

/** The invalid value of a directive that is repeated with different values (RFC 9111 §4.2.1). */
const NO_VALUE = ' ';

/** The directives of Cache-Control or a field of the same syntax (RFC 9111 §5.2). */
export class Directives {
  /** Undefined if there are none, the usual case of a request. */
  #values: Map<string, string> | undefined;

  constructor(headers: RawHeaders, field = 'cache-control') {
    for (const line of headersOf(headers, field)) for (const member of membersOf(line)) this.#add(member);
  }

  get none(): boolean {
    return this.#values === undefined;
  }

  has(name: string): boolean {
    return this.#values?.has(name) === true;
  }

  /** Whether the directive is present without a value. */
  isBare(name: string): boolean {
    return this.#values?.get(name) === '';
  }

  /** The value in seconds; 0 if it is not a number, undefined if the directive is absent. */
  seconds(name: string): number | undefined {
    const value = this.#values?.get(name);
    return value === undefined ? undefined : (deltaSeconds(value) ?? 0);
  }

  #add(member: string): void {
    const mark = member.indexOf('=');
    const name = (mark < 0 ? member : member.slice(0, mark)).trimEnd().toLowerCase();
    const value = mark < 0 ? '' : unquoted(member.slice(mark + 1).trimStart());
    this.#values ??= new Map();
    const known = this.#values.get(name);
    this.#values.set(name, known === undefined || known === value ? value : NO_VALUE);
  }
}

const unquoted = (text: string): string =>
  /^".*"$/s.test(text) ? text.slice(1, -1).replaceAll(/\\(.)/gs, '$1') : text;
