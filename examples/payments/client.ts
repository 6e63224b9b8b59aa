/** The part of a request's status monitor that this client reads. */
export interface Monitor {
  readonly id: string;
  readonly status: string;
  readonly done: boolean;
  readonly attempts: {
    readonly made: number;
    readonly last?: { readonly n: number; readonly status?: number; readonly error?: string };
  };
  readonly next?: { readonly at: string; readonly reason?: string };
}

/** The result of submitting a payment. */
export interface Accepted {
  readonly id: string;
  /** The URL of its status. */
  readonly location: string;
  /** Whether it had been submitted before. */
  readonly repeat: boolean;
}

export interface Payment {
  /** The order, which is the idempotency key. */
  readonly order: string;
  readonly amount: number;
}

/** An app that pays through Breakwater. It uses only HTTP. */
export class Client {
  readonly #url: string;
  readonly #callback: string;

  /** `url`: Breakwater's address; `callback`: where the result of each payment is sent. */
  constructor(url: string, callback: string) {
    this.#url = url;
    this.#callback = callback;
  }

  async submit({ order, amount }: Payment): Promise<Accepted> {
    const reply = await fetch(`${this.#url}/pay/payments`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'idempotency-key': order,
        prefer: 'respond-async',
        'breakwater-label': order,
        'breakwater-callback': this.#callback,
      },
      body: JSON.stringify({ order, amount, currency: 'eur' }),
    });
    if (reply.status !== 202) throw new Error(`${reply.status} ${await reply.text()}`);
    const { id } = (await reply.json()) as Monitor;
    const repeat = reply.headers.get('idempotent-replayed') === 'true';
    return { id, location: reply.headers.get('location') ?? '', repeat };
  }

  /** Each change of its status until the end. Each request waits at Breakwater for a change. */
  async *changes(location: string): AsyncGenerator<Monitor> {
    for (let etag = ''; ; ) {
      const reply = await fetch(this.#url + location, {
        headers: etag === '' ? {} : { prefer: 'wait=30', 'if-none-match': etag },
      });
      etag = reply.headers.get('etag') ?? '';
      if (reply.status === 304) continue;
      const monitor = (await reply.json()) as Monitor;
      yield monitor;
      if (monitor.done) return;
    }
  }

  /** The final reply of the payment API, as in a direct call. */
  async result(location: string): Promise<{ readonly status: number; readonly text: string }> {
    const reply = await fetch(`${this.#url + location}/response`);
    return { status: reply.status, text: (await reply.text()).trim() };
  }
}
