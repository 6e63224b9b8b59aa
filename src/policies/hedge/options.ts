/** When a second attempt is started in parallel with the first. */
export interface HedgeOptions {
  /** After a percentile of the latency (a share, 0 < percentile < 1), or after a fixed time. */
  readonly after: { readonly percentile: number } | { readonly ms: number };
  /** The most hedges, as a share of the attempts that can be hedged. */
  readonly maxExtra: number;
}
