import type { Pointer } from '../../http/json-pointer.ts';

/** A target, as the choice knows it. */
export interface TargetOptions {
  readonly name: string;
  /** Its share of the calls, compared with the other targets of its tier; at least 1. */
  readonly weight: number;
  /** Targets of a higher tier get calls only while none of a lower tier can take one. */
  readonly tier: number;
}

/** A value that replaces the one at `pointer` in the JSON body of a request. */
export type BodyChange = readonly [pointer: Pointer, value: unknown];
