/** A fault that is injected into an attempt in place of the upstream, so that a team can see how its app copes. */
export interface Fault {
  /** Milliseconds before all else, at the cost of the attempt. */
  readonly delayMs: number;
  /**
   * `pass`: the attempt is then sent. A number: the status of an empty reply. `reset`: the connection breaks after the request was
   * sent. `stall`: no answer comes.
   */
  readonly end: 'pass' | 'reset' | 'stall' | number;
}

/** The faults of a route. */
export interface FaultOptions {
  /** Undefined: none but those that a client asks for. */
  readonly fault: Fault | undefined;
  /** The share of attempts with the fault, above 0 and up to 1. */
  readonly share: number;
  /** A client may ask for a fault by the request header breakwater-fault. */
  readonly byHeader: boolean;
}
