import { isPlain } from './document.ts';
import { headerOf, type RawHeaders } from './headers.ts';
import { sentWallMs } from './http-date.ts';
import { type Pointer, valuesAt } from './json-pointer.ts';
import { resetAfterMs } from './reset-value.ts';

/** The source of the wait if the head of an error has no Retry-After. */
export type ErrorWait =
  | { readonly from: 'rule'; readonly ms: number }
  /** A number of seconds, or text with a unit. */
  | { readonly from: 'body'; readonly pointer: Pointer }
  /** Seconds, text with a unit, or seconds since the epoch. */
  | { readonly from: 'header'; readonly name: string }
  /** (needed − available) / perSecond, each a number in the body. */
  | {
      readonly from: 'points';
      readonly needed: Pointer;
      readonly available: Pointer;
      readonly perSecond: Pointer;
    };

/** Milliseconds to wait after an error with these headers and this JSON; undefined if they do not say it. */
export function errorWaitMs(
  wait: ErrorWait,
  headers: RawHeaders,
  json: unknown,
  nowWallMs: number,
): number | undefined {
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
  headers: RawHeaders,
  nowWallMs: number,
): number | undefined {
  if (found === undefined) return undefined;
  return resetAfterMs(String(found), 'auto', { nowWallMs, sentWallMs: sentWallMs(headers, nowWallMs) });
}
