/** When a second attempt is started beside the first. */
export interface HedgeOptions {
  /** After the time within which this share of attempts has been answered, 0 < share < 1; or after a fixed time. */
  readonly after: { readonly percentile: number } | { readonly ms: number };
  /** Hedges as a share of the attempts that could be hedged. */
  readonly maxExtra: number;
}
