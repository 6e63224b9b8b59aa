import { connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** A fault of a connection that sends a certain text. */
type Fault =
  /** The first one is closed. `passedOn`: after the server got the text. */
  | { readonly kind: 'cut'; readonly passedOn: boolean }
  /** Each stands still until `release`. `passedOn`: the server gets the text, and its answer is held back. */
  | { readonly kind: 'hold'; readonly passedOn: boolean };

interface Armed {
  readonly fault: Fault;
  readonly text: string;
  readonly met: () => void;
}

export interface Wire {
  /** The URL of the database through this relay. */
  readonly url: string;
  /**
   * Prepares a fault for connections that send `text`. The promise resolves when the first one does. After a cut that is passed on,
   * it resolves once the server has executed what it got.
   */
  readonly arm: (text: string, fault: Fault) => Promise<void>;
  /** Lets the connections go on that were held. */
  readonly release: () => void;
}

/** A relay to the server of `startPostgres`. */
export async function wire(url: string): Promise<Wire> {
  const folder = new URL(url).searchParams.get('host');
  const sockets = new Set<Socket>();
  const held: (() => void)[] = [];
  let armed: Armed | undefined;

  const faultOf = (data: Buffer, upstream: Socket): Fault | undefined => {
    if (armed === undefined || !data.includes(armed.text)) return undefined;
    const { fault, met } = armed;
    if (fault.kind === 'cut') armed = undefined;
    if (fault.kind === 'cut' && fault.passedOn) upstream.once('close', met);
    else met();
    return fault;
  };
  const proxy = createServer((client) => {
    const upstream = connect(`${folder}/.s.PGSQL.5432`);
    for (const socket of [client, upstream]) sockets.add(socket.on('error', () => undefined));
    upstream.on('data', (data) => client.write(data)).on('close', () => client.destroy());
    // The server closes it after what was passed on.
    let passedOn = false;
    client.on('close', () => {
      if (!passedOn) upstream.destroy();
    });
    client.on('data', (data: Buffer) => {
      const fault = faultOf(data, upstream);
      if (fault?.kind === 'cut') {
        ({ passedOn } = fault);
        client.destroy();
        // Closed in good order, so that the server executes what it was sent.
        if (passedOn) upstream.end(data);
        else upstream.destroy();
        return;
      }
      if (fault?.kind === 'hold') {
        const stopped = fault.passedOn ? upstream : client;
        stopped.pause();
        if (!fault.passedOn) client.unshift(data);
        held.push(() => stopped.resume());
        if (!fault.passedOn) return;
      }
      upstream.write(data);
    });
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    proxy.close();
  });
  const through = new URL(url);
  through.searchParams.set('host', '127.0.0.1');
  through.searchParams.set('port', String((proxy.address() as { port: number }).port));
  return {
    url: through.href,
    arm: (text, fault) => new Promise((resolve) => (armed = { text, fault, met: resolve })),
    release: () => {
      armed = undefined;
      for (const go of held.splice(0)) go();
    },
  };
}
