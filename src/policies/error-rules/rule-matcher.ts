import { type Document, documentOf, fits } from '../../http/document.ts';
import { errorWaitMs } from '../../http/error-wait.ts';
import { headerOf } from '../../http/headers.ts';
import type { Reply, ReplyClassification } from '../../http/reply.ts';
import { retryAfterMs } from '../../http/retry-after.ts';
import { matchesAny } from '../../http/wildcard.ts';
import type { ErrorRule, ErrorRuleOptions } from './options.ts';

type Head = Pick<Reply, 'status' | 'headers'>;

/** Classifies replies by the first error rule that matches. It asks for the body only if a rule needs it. */
export class RuleMatcher {
  readonly #rules: readonly ErrorRule[];
  readonly #inspect: ErrorRuleOptions['inspect'];
  /** No rule matches below this status. */
  readonly #from: number;

  constructor({ rules, inspect }: ErrorRuleOptions) {
    this.#rules = rules;
    this.#inspect = inspect;
    const matchable = inspect === 'all' ? rules : rules.filter((rule) => !isAboutBody(rule));
    this.#from = Math.min(400, ...matchable.flatMap(({ statuses = [] }) => statuses));
  }

  /** Enough for nearly every reply. */
  mayMatch(status: number): boolean {
    return status >= this.#from;
  }

  /** By the head alone. `body`: the body is needed. Undefined: no rule matches. */
  byHead(head: Head, nowWallMs: number): ReplyClassification | 'body' | undefined {
    for (const rule of this.#rules) {
      if (!fitsHead(rule, head)) continue;
      if (wantsBody(rule, head, nowWallMs) && this.#mayRead(head)) return 'body';
      if (!isAboutBody(rule)) return classify(rule, head, undefined, nowWallMs);
    }
    return undefined;
  }

  /** By head and body; `text` is undefined if the body could not be read. */
  byBody(head: Head, text: string | undefined, nowWallMs: number): ReplyClassification | undefined {
    const document = text === undefined ? undefined : documentOf(text);
    const rule = this.#rules.find((candidate) => fitsHead(candidate, head) && fits(candidate, document));
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

const isAboutBody = ({ body, text }: ErrorRule): boolean => body.length > 0 || text.length > 0;

function wantsBody(rule: ErrorRule, { headers }: Head, nowWallMs: number): boolean {
  if (isAboutBody(rule)) return true;
  const { wait } = rule;
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

function classify(
  { name, means, throttled, wait }: ErrorRule,
  head: Head,
  document: Document | undefined,
  nowWallMs: number,
): ReplyClassification {
  const retryAfterMs = wait && errorWaitMs(wait, head.headers, document?.json, nowWallMs);
  return { name, kind: means, throttled, retryAfterMs };
}
