import { headerOf } from '../../http/headers.ts';
import { sentWallMs } from '../../http/http-date.ts';
import { valuesAt } from '../../http/json-pointer.ts';
import type { Reply, ReplyClassification } from '../../http/reply.ts';
import { resetAfterMs } from '../../http/reset-value.ts';
import { retryAfterMs } from '../../http/retry-after.ts';
import { matchesAny } from '../../http/wildcard.ts';
import type { ErrorRule, ErrorWait, ErrorRuleOptions } from './options.ts';

type Head = Pick<Reply, 'status' | 'headers'>;

/** A reply's body as lower-case text, and as a value if it is JSON. */
interface Document {
  readonly text: string;
  readonly json: unknown;
}

/** Classifies replies by the first error rule that matches. It asks for the body only if a rule needs it. */
export class RuleMatcher {
  readonly #rules: readonly ErrorRule[];
  readonly #inspect: ErrorRuleOptions['inspect'];
  /** No rule matches below this status. This check is enough for nearly every reply. */
  readonly from: number;

  constructor({ rules, inspect }: ErrorRuleOptions) {
    this.#rules = rules;
    this.#inspect = inspect;
    this.from = Math.min(400, ...rules.flatMap(({ statuses = [] }) => statuses));
  }

  /** By the head alone. `body`: the body is needed. Undefined: no rule matches. */
  byHead(head: Head, nowWallMs: number): ReplyClassification | 'body' | undefined {
    for (const rule of this.#rules) {
      if (!fitsHead(rule, head)) continue;
      if (wantsBody(rule, head, nowWallMs) && this.#mayRead(head)) return 'body';
      if (rule.body.length === 0 && rule.text.length === 0) return classify(rule, head, undefined, nowWallMs);
    }
    return undefined;
  }

  /** By head and body; `text` is undefined if the body could not be read. */
  byBody(head: Head, text: string | undefined, nowWallMs: number): ReplyClassification | undefined {
    const document = text === undefined ? undefined : { text: text.toLowerCase(), json: parsed(text) };
    const rule = this.#rules.find((candidate) => fitsHead(candidate, head) && fitsBody(candidate, document));
    return rule === undefined ? undefined : classify(rule, head, document, nowWallMs);
  }

  #mayRead({ status, headers }: Head): boolean {
    if (status >= 400) return this.#inspect !== 'off';
    return (
      this.#inspect === 'all' &&
      /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(headerOf(headers, 'content-type') ?? '')
    );
  }
}

function wantsBody({ body, text, wait }: ErrorRule, { headers }: Head, nowWallMs: number): boolean {
  if (body.length > 0 || text.length > 0) return true;
  const waitInBody = wait?.from === 'body' || wait?.from === 'points';
  return waitInBody && retryAfterMs(headers, nowWallMs) === undefined;
}

function fitsHead({ statuses, headers }: ErrorRule, head: Head): boolean {
  if (statuses === undefined ? head.status < 400 : !statuses.includes(head.status)) return false;
  return headers.every(([name, patterns]) => {
    const value = headerOf(head.headers, name);
    return value !== undefined && matchesAny(value.trim(), patterns);
  });
}

function fitsBody({ body, text }: ErrorRule, document: Document | undefined): boolean {
  if (body.length === 0 && text.length === 0) return true;
  if (document === undefined) return false;
  if (text.length > 0 && !text.some((part) => document.text.includes(part.toLowerCase()))) return false;
  return body.every(([pointer, patterns]) =>
    valuesAt(document.json, pointer).some((value) => isPlain(value) && matchesAny(String(value), patterns)),
  );
}

const isPlain = (value: unknown): value is string | number | boolean =>
  ['string', 'number', 'boolean'].includes(typeof value);

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function classify(
  { name, means, throttled, wait }: ErrorRule,
  head: Head,
  document: Document | undefined,
  nowWallMs: number,
): ReplyClassification {
  const retryAfterMs = wait && waitOf(wait, head, document?.json, nowWallMs);
  return { name, kind: means, throttled, retryAfterMs };
}

function waitOf(wait: ErrorWait, { headers }: Head, json: unknown, nowWallMs: number): number | undefined {
  switch (wait.from) {
    case 'rule':
      return wait.ms;
    case 'header':
      return moment(headerOf(headers, wait.name), headers, nowWallMs);
    case 'body':
      return moment(valuesAt(json, wait.pointer).find(isPlain), headers, nowWallMs);
    case 'points': {
      const [needed, available, perSecond] = [wait.needed, wait.available, wait.perSecond].map((pointer) =>
        Number(valuesAt(json, pointer).find((value) => typeof value === 'number')),
      ) as [number, number, number];
      const ms = ((needed - available) / perSecond) * 1000;
      return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
    }
  }
}

/** Milliseconds from seconds, from a text with units, or from a moment, which is compared with the reply's own `Date`. */
function moment(
  found: string | number | boolean | undefined,
  headers: Head['headers'],
  nowWallMs: number,
): number | undefined {
  if (found === undefined) return undefined;
  return resetAfterMs(String(found), 'auto', { nowWallMs, sentWallMs: sentWallMs(headers, nowWallMs) });
}
