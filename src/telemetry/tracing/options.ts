/** Where traces are sent, and how many. */
export interface TracingOptions {
  /** URL of the OTLP/HTTP receiver for traces, with its path. */
  readonly url: string;
  /** Fields of each export. They may hold a credential. */
  readonly headers: { readonly set: readonly (readonly [name: string, value: string])[] };
  /** Share of the traces that begin here, above 0 and at most 1. For all others, their sender has decided. */
  readonly sample: number;
  /** `service.name` of the resource. */
  readonly service: string;
}
