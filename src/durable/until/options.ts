import type { Pointer } from '../../http/json-pointer.ts';
import type { Conditions } from './condition.ts';
import type { PollDelay } from './delay.ts';

/** How a route asks again after a good answer, until one is final. */
export interface PollOptions {
  readonly conditions: Conditions;
  readonly delay: PollDelay;
  /** Where a reply says that it can be asked about; undefined: the request itself is sent again. */
  readonly target: PollTarget | undefined;
}

export type PollTarget =
  | {
      readonly from: 'header';
      /** Lower-case. */
      readonly name: string;
    }
  /** A path below the upstream's URL: text, and values out of the reply's JSON. */
  | { readonly from: 'path'; readonly parts: readonly (string | Pointer)[] };
